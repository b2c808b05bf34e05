"""A corpus in shards through every command that reads audio."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.data.manifest import read_manifest

READ_IN_EACH_EPOCH = ("batches.cache_mb=0", "batches.shard_window=2")
SPLITS = ("train", "valid", "test")


@pytest.fixture
def recordings(tmp_path, babble) -> Path:
    """Twelve recordings of twelve speakers, each with its text beside it."""
    for number in range(12):
        folder = tmp_path / "recordings" / f"speaker{number}"
        folder.mkdir(parents=True)
        soundfile.write(folder / "a.flac", babble(1.0 + number / 10, seed=number), 8000)
        (folder / "a.txt").write_text(f"{'abc'[number % 3]} {'def'[number % 3] * (number + 1)}")
    return tmp_path / "recordings"


@pytest.fixture
def data(run_asr, recordings, tmp_path) -> Path:
    """The recordings prepared as shards."""
    out = tmp_path / "data"
    options = ("--speaker-from", "folder", "--shards", "--shard-mb", "0.04")
    run = run_asr("prepare", "own", "--source", recordings, "--out", out, *options)
    assert run.status == 0, run.err
    assert len(list((out / "shards").glob("train-*.tar"))) > 2
    return out


def test_from_preparation_to_transcripts_without_a_loose_file(run_asr, data, tiny, recordings, tmp_path):
    for file in list(recordings.rglob("*.flac")):
        file.unlink()
    manifests = [data / f"{name}.jsonl" for name in SPLITS]
    check = run_asr("check", *manifests, "--decode")
    assert check.status == 0 and "errors 0" in check.out, check.err

    train = run_asr("train", "own", *tiny, *READ_IN_EACH_EPOCH, "--data", data, "--out", tmp_path / "run")
    assert train.status == 0, train.err

    evaluate = run_asr("evaluate", tmp_path / "run", *manifests, "--out", tmp_path / "report")
    assert evaluate.status == 0, evaluate.err
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert all(not report["splits"][name]["unreadable"] for name in SPLITS)

    audio = [one.audio for one in read_manifest(data / "train.jsonl")][:2]
    written = run_asr("transcribe", tmp_path / "run", *audio, "--out", tmp_path / "out")
    assert written.status == 0, written.err
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.txt")) == sorted(
        f"{Path(name).name}.txt" for name in audio
    )


def test_preparing_again_changes_no_bit(run_asr, data, recordings):
    before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    options = ("--speaker-from", "folder", "--shards", "--shard-mb", "0.04")
    assert run_asr("prepare", "own", "--source", recordings, "--out", data, *options).status == 0
    assert {path: path.read_bytes() for path in data.rglob("*") if path.is_file()} == before


def test_a_shard_that_is_cut_and_one_that_is_gone_are_named_by_line_and_left_out(run_asr, data, tmp_path):
    manifest = data / "train.jsonl"
    first, second, *others = sorted((data / "shards").glob("train-*.tar"))
    first.write_bytes(first.read_bytes()[:600])
    second.unlink()
    check = run_asr("check", manifest, "--fix", tmp_path / "fixed" / "train.jsonl")
    assert check.status == 1
    assert f"{manifest}:1: error: audio: {first}@512+" in check.err and "is truncated" in check.err
    assert f"no such shard: {second}" in check.err
    left = read_manifest(tmp_path / "fixed" / "train.jsonl")
    assert {str(Path(one.audio.partition("@")[0]).resolve()) for one in left} == {str(path) for path in others}
    assert run_asr("check", tmp_path / "fixed" / "train.jsonl").status == 0


def test_a_file_among_shards(run_asr, data, tiny_model, tmp_path):
    """A manifest may mix both, and a missing shard fails as a missing file does."""
    soundfile.write(tmp_path / "x.wav", np.full(8000, 0.1), 8000)
    audio = read_manifest(data / "test.jsonl")[0].audio
    assert run_asr("transcribe", tiny_model, tmp_path / "x.wav", audio).status == 0
    gone = run_asr("transcribe", tiny_model, audio.replace("test-0001", "test-0099"))
    assert gone.status == 2 and "no such file or folder" in gone.err
