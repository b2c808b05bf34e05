"""`asr prepare`: what it prints, its exit status, and the corpora behind its subcommands."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from asr.cli.prepare import app
from asr.data.manifest import read_dataset, read_manifest
from asr.errors import CorpusError


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def record(path: Path, samples: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full(samples, 0.1), 8000)


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """A corpus in FSDD's layout: two speakers, one digit, eleven takes."""
    for place, speaker in enumerate(("anna", "bert")):
        for take in range(11):
            record(tmp_path / "fsdd" / "recordings" / f"4_{speaker}_{take}.wav", 1000 + 100 * take + place)
    return tmp_path / "fsdd"


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """Five recordings with texts beside them."""
    for number in range(5):
        record(tmp_path / "own" / f"{number}.wav", 1000 + 100 * number)
        (tmp_path / "own" / f"{number}.txt").write_text(f"text {number}")
    return tmp_path / "own"


def test_help_lists_the_corpora_and_each_has_an_example():
    corpora = ("digits", "synth", "fsdd", "librispeech", "an4", "commonvoice", "own")
    assert all(corpus in run("--help").output for corpus in corpora)
    for corpus in corpora:
        assert f"Example: asr prepare {corpus} --" in run(corpus, "--help").output


def test_the_table_what_is_shared_and_the_next_commands(digits, tmp_path):
    result = run("fsdd", "--source", digits, "--out", tmp_path / "out")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0].split() == ["split", "utterances", "audio", "speakers"]
    assert [line.split() for line in lines[1:4]] == [
        ["train", "2", "0.5", "s", "2"],
        ["valid", "10", "2.1", "s", "2"],
        ["test", "10", "1.5", "s", "2"],
    ]
    assert "The splits share speaker and text" in result.output
    assert f"asr train fsdd --data {tmp_path / 'out'} --out runs/out" in result.output
    assert f"asr check {tmp_path / 'out' / 'train.jsonl'} " in result.output


def test_the_run_of_a_folder_called_data_goes_beside_it(digits, tmp_path):
    out = tmp_path / "fsdd-1" / "data"
    result = run("fsdd", "--source", digits, "--out", out)
    assert f"asr train fsdd --data {out} --out {out.parent / 'run'}\n" in result.output


def test_hold_out(digits, tmp_path):
    result = run("fsdd", "--source", digits, "--out", tmp_path / "out", "--hold-out", "bert")
    assert result.exit_code == 0
    assert {one.speaker for one in read_manifest(tmp_path / "out" / "test.jsonl")} == {"bert"}


def test_librispeech_options(tmp_path):
    for subset, speaker in (("a", 1), ("b", 2), ("c", 3), ("d", 4)):
        chapter = tmp_path / "in" / subset / str(speaker) / "5"
        record(chapter / f"{speaker}-5-0000.flac", 1000 + speaker)
        (chapter / f"{speaker}-5.trans.txt").write_text(f"{speaker}-5-0000 TEXT {speaker}\n")
    options = ("--train", "a", "--train", "b", "--valid", "c", "--test", "d")
    result = run("librispeech", "--source", tmp_path / "in", "--out", tmp_path / "out", *options)
    assert result.exit_code == 0
    assert [one.id for one in read_manifest(tmp_path / "out" / "train.jsonl")] == ["1-5-0000", "2-5-0000"]
    for split, speaker in (("train", 4), ("valid", 2), ("test", 1)):
        (tmp_path / f"{split}.txt").write_text(f"{speaker}-5-0000\n")
    listed = ("librispeech", "--source", tmp_path / "in", "--out", tmp_path / "out", "--ids", tmp_path)
    assert "3 of 4 recordings would move to another split (1-5-0000 from train to test" in str(run(*listed).exception)
    assert run(*listed, "--overwrite").exit_code == 0
    assert [one.id for one in read_manifest(tmp_path / "out" / "train.jsonl")] == ["4-5-0000"]


def test_subsets_that_nobody_named_are_not_fetched(tmp_path):
    done = run("librispeech", "--source", tmp_path, "--ids", tmp_path, "--download", "--out", tmp_path / "data")
    assert done.exit_code == 2 and "cannot tell which subsets hold the ids" in done.output
    assert not list(tmp_path.iterdir())


def test_what_becomes_of_recordings_that_were_there_before_is_said(babble, tmp_path):
    """Another seed changes nothing for them, and who asks for it must hear so."""
    for number in range(12):
        soundfile.write(tmp_path / f"{number}.wav", babble(0.5, seed=number), 8000)
        (tmp_path / f"{number}.txt").write_text("abcdefghijkl"[number])
    prepare = ("own", "--source", tmp_path, "--out", tmp_path / "out")
    assert "stay" not in run(*prepare).stderr
    again = run(*prepare, "--seed", "3")
    assert "asr: 12 recordings stay in their splits, none is new; --overwrite makes new splits\n" in again.stderr
    soundfile.write(tmp_path / "new.wav", babble(0.5, seed=99), 8000)
    (tmp_path / "new.txt").write_text("z")
    assert "asr: 12 recordings stay in their splits, 1 are new: new\n" in run(*prepare).stderr


def test_another_division_is_refused_and_an_equal_one_is_not(digits, tmp_path):
    """A model trained on the one must not be tested on the other."""
    prepare = ("fsdd", "--source", digits, "--out", tmp_path / "out")
    first = run(*prepare)
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    refused = run(*prepare, "--hold-out", "bert")
    assert isinstance(refused.exception, CorpusError) and "\n" not in str(refused.exception)
    assert "11 of 22 recordings would move to another split (4_bert_10 from train to test, " in str(refused.exception)
    assert "choose another --out, or --overwrite and train again" in str(refused.exception)
    again = run(*prepare)
    assert (again.exit_code, again.stdout) == (0, first.stdout) and "asr:" not in again.stderr
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert run(*prepare, "--hold-out", "bert", "--overwrite").exit_code == 0
    assert {one.speaker for one in read_manifest(tmp_path / "out" / "test.jsonl")} == {"bert"}


def test_packing_into_shards_is_no_other_division(digits, tmp_path):
    for options in (["--shards"], ["--shards"], []):
        assert run("fsdd", "--source", digits, "--out", tmp_path / "out", *options).exit_code == 0
    refused = run("fsdd", "--source", digits, "--out", tmp_path / "out", "--shards", "--hold-out", "bert")
    assert isinstance(refused.exception, CorpusError)


def test_own_options(recordings, tmp_path):
    named = ("--dataset-name", "mine", "--license", "CC0-1.0", "--speaker-from", "folder", "--seed", 3)
    result = run("own", "--source", recordings, "--out", tmp_path / "out", *named)
    assert result.exit_code == 0
    dataset = read_dataset(tmp_path / "out")
    assert (dataset.name, dataset.license, dataset.shared) == ("mine", "CC0-1.0", ("speaker",))


def test_an4_from_raw_recordings_to_a_check(tmp_path, babble, run_asr):
    root = tmp_path / "an4"
    for split, folder, speakers in (("train", "an4_clstk", "abcd"), ("test", "an4test_clstk", "ef")):
        ids = [f"an{number}-{speaker}-b" for speaker in speakers for number in range(3)]
        fileids = [f"{folder}/{id.split('-')[1]}/{id}" for id in ids]
        for fileid in fileids:
            path = root / "wav" / f"{fileid}.raw"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes((20000 * babble(1.0, 16000, list(fileid.encode()))).astype(">i2").tobytes())
        (root / "etc").mkdir(exist_ok=True)
        (root / "etc" / f"an4_{split}.fileids").write_text("\n".join(fileids))
        lines = [f"<s> {word} </s> ({id})" for id, word in zip(ids, ["YES", "NO", "GO"] * 4, strict=False)]
        (root / "etc" / f"an4_{split}.transcription").write_text("\n".join(lines))
    (root / "wav" / "an4_clstk" / "a" / "an0-a-b.raw").unlink()
    prepare = ("prepare", "an4", "--source", root, "--out", tmp_path / "out")
    refused = run_asr(*prepare)
    assert (
        refused.status == 2 and "1 of 18 recordings are missing" in refused.err and len(refused.err.splitlines()) == 1
    )
    done = run_asr(*prepare, "--partial", "--valid", "0.3", "--shards")
    assert done.status == 0 and "The splits share text" in done.out and "asr train an4 --data" in done.out
    manifests = [tmp_path / "out" / f"{split}.jsonl" for split in ("train", "valid", "test")]
    assert ".tar@" in read_manifest(manifests[0])[0].audio
    checked = run_asr("check", *manifests, "--conf", "an4", "--decode")
    assert checked.status == 0, checked.out + checked.err


def test_common_voice_from_its_clips_to_a_check(tmp_path, babble, run_asr):
    folder = tmp_path / "cy"
    (folder / "clips").mkdir(parents=True)
    for split in ("train", "dev", "test"):
        lines = ["client_id\tpath\tsentence\tage"]
        for number, age in enumerate(("", "teens")):
            soundfile.write(folder / "clips" / f"{split}{number}.mp3", babble(1.0, 16000, number), 16000, format="MP3")
            lines.append(f'{split}{number}\t{split}{number}.mp3\t"{split} {number}\t{age}')
        (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n")
    (folder / "clips" / "train1.mp3").write_bytes(b"corrupt")
    done = run_asr("prepare", "commonvoice", "--source", folder, "--out", tmp_path / "out")
    assert done.status == 1 and f"left out: {folder}/train.tsv:3: {folder}/clips/train1.mp3: " in done.err
    assert read_dataset(tmp_path / "out").name == "Common Voice cy"
    assert read_manifest(tmp_path / "out" / "test.jsonl")[1].extra == {"age": "teens"}
    assert "asr train own --data" in done.out


def test_own_lists_of_other_toolkits(recordings, tmp_path, run_asr):
    kaldi = tmp_path / "data"
    kaldi.mkdir()
    (kaldi / "wav.scp").write_text("".join(f"u{number} {number}.wav\n" for number in range(3)))
    (kaldi / "text").write_text("".join(f"u{number} text {number}\n" for number in range(3)))
    record(recordings / "3.wav", 4000)
    nemo = tmp_path / "dev.jsonl"
    nemo.write_text('{"audio_filepath": "3.wav", "offset": 0.02, "duration": 0.1, "text": "three"}\n')
    tables = ("--table", f"train={kaldi}", "--table", f"dev={nemo}", "--table", f"test={recordings / 't.tsv'}")
    (recordings / "t.tsv").write_text("path\ttext\troom\n4.wav\tfour\thall\n")
    done = run_asr("prepare", "own", "--source", recordings, "--out", tmp_path / "out", *tables)
    assert done.status == 0, done.err
    of = {split: read_manifest(tmp_path / "out" / f"{split}.jsonl") for split in ("train", "valid", "test")}
    assert [one.id for one in of["train"]] == ["u0", "u1", "u2"]
    assert of["valid"][0].audio.endswith("out/pieces/3-00000020-00000120.flac") and of["valid"][0].duration == 0.1
    assert of["test"][0].extra == {"room": "hall"}
    (kaldi / "wav.scp").write_text("u0 cat 0.wav |\n")
    refused = run_asr("prepare", "own", "--source", recordings, "--out", tmp_path / "out", *tables)
    assert refused.status == 2 and f"{kaldi}/wav.scp:1: a command" in refused.err


def test_unknown_speakers_are_said(recordings, tmp_path):
    result = run("own", "--source", recordings, "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert "unknown" in result.output and "Some speakers are unknown" in result.output


def test_doubts_are_said(recordings, tmp_path):
    result = run("own", "--source", recordings, "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert "warning: Too few distinct texts" in result.stdout


def test_what_a_tables_own_splits_share_is_said_before_training_refuses_it(recordings, tmp_path):
    rows = [f"{number}.wav,text {number},anna,{split}" for number, split in enumerate(("train", "valid", "test"))]
    (tmp_path / "t.csv").write_text("\n".join(["audio,text,speaker,split", *rows]))
    command = ("own", "--source", recordings, "--table", tmp_path / "t.csv", "--out", tmp_path / "out")
    said = run(*command).output
    assert (
        "warning: The splits share speaker, and training refuses that." in said
        and "declare it: --shared speaker." in said
    )
    again = run(*command, "--shared", "speaker")
    assert again.exit_code == 0, again.exception
    declared = again.output
    assert "training refuses" not in declared and "The splits share speaker; " in declared


def test_what_is_left_out_is_named_on_stderr_and_the_status_is_1(recordings, tmp_path):
    (recordings / "2.wav").write_bytes(b"RIFF")
    (recordings / "4.txt").unlink()
    result = run("own", "--source", recordings, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "2.wav: " in result.stderr and "4.wav: no .txt file next to it" in result.stderr
    assert "2 left out" in result.stderr
    ids = {one.id for split in ("train", "valid", "test") for one in read_manifest(tmp_path / "out" / f"{split}.jsonl")}
    assert ids == {"0", "1", "3"}


def test_recordings_that_are_gone_are_counted_and_never_from_shards_alone(digits, tmp_path):
    prepare = ("fsdd", "--source", digits, "--out", tmp_path / "out")
    assert run(*prepare).exit_code == 0
    for take in (0, 5, 6):
        (digits / "recordings" / f"4_anna_{take}.wav").unlink()
    again = run(*prepare, "--shards")
    assert again.exit_code == 0
    assert "asr: 3 of the 22 earlier recordings are gone: 4_anna_5, 4_anna_6, 4_anna_0\n" in again.stderr
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    (digits / "recordings" / "4_bert_1.wav").unlink()
    for options in ([], ["--shards"]):
        refused = run(*prepare, *options)
        assert isinstance(refused.exception, CorpusError)
        assert "1 of 19 recordings are gone (4_bert_1), and only " in str(refused.exception)
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before
    done = run(*prepare, "--shards", "--overwrite")
    assert done.exit_code == 0 and "earlier recordings" not in done.stderr


def test_lines_and_names_that_cannot_be_used_are_left_out_with_status_1(recordings, tmp_path, run_asr):
    nemo = tmp_path / "all.jsonl"
    lines = [f'{{"audio_filepath": "{number}.wav", "text": "text {number}"}}' for number in range(5)]
    nemo.write_text("\n".join([*lines, '{"audio_filepath": "0.wav", "offset": 0.01, "duration": "x", "text": "y"}']))
    done = run_asr("prepare", "own", "--source", recordings, "--table", nemo, "--out", tmp_path / "out")
    assert done.status == 1 and f'left out: {nemo}:6: field "duration" must be seconds' in done.err
    assert sum(len(read_manifest(tmp_path / "out" / f"{split}.jsonl")) for split in ("train", "valid", "test")) == 5
    (recordings / "t.csv").write_text("audio,text\n0.wav,zero\n1.wav,one, two\n2.wav,two\n3.wav,three\n")
    table = ("--table", recordings / "t.csv", "--out", tmp_path / "csv")
    done = run_asr("prepare", "own", "--source", recordings, *table)
    assert done.status == 1 and f"left out: {recordings}/t.csv:3: 3 columns, but the header has 2" in done.err
    ids = [one.id for split in ("train", "valid", "test") for one in read_manifest(tmp_path / "csv" / f"{split}.jsonl")]
    assert sorted(ids) == ["0", "2", "3"]


def test_a_wrong_source_is_one_line(tmp_path):
    for corpus in ("fsdd", "librispeech", "an4", "commonvoice", "own"):
        result = run(corpus, "--source", tmp_path / "nowhere", "--out", tmp_path / "out")
        assert isinstance(result.exception, CorpusError)
        assert "\n" not in str(result.exception)
        assert "nowhere: no such folder" in str(result.exception)


def test_a_missing_option_is_a_usage_error():
    assert run("fsdd", "--out", "somewhere").exit_code == 2


def test_the_module_needs_no_numpy():
    code = "import asr.cli.prepare, sys; sys.exit(any(name in sys.modules for name in ('numpy', 'torch', 'soundfile')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_text_is_spoken(tmp_path):
    pytest.importorskip("espeakng_loader")
    nouns, verbs = ("القط", "البيت", "البحر", "الكتاب", "الولد"), ("جميل", "كبير", "قديم", "هنا", "بعيد")
    (tmp_path / "arabic.txt").write_text("".join(f"{noun} {verb}\n" for noun in nouns for verb in verbs), "utf-8")
    options = ["--text", tmp_path / "arabic.txt", "--language", "ar", "--voices", "2", "--out", tmp_path / "out"]
    result = run("synth", *options)
    assert result.exit_code == 0
    counts = {line.split()[0]: line.split()[1] for line in result.stdout.splitlines()[1:4]}
    assert counts == {"train": "23", "valid": "1", "test": "1"}
    assert "القط" in (tmp_path / "out" / "train.jsonl").read_text("utf-8")
    from typer.testing import CliRunner

    from asr.cli.main import app

    splits = [str(tmp_path / "out" / f"{name}.jsonl") for name in ("train", "valid", "test")]
    checked = CliRunner().invoke(app, ["check", *splits, "--conf", "own"])
    assert checked.exit_code == 0 and "errors 0" in checked.stdout
