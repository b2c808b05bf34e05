"""A model that is measured on what it has heard: every report says so."""

import json
from dataclasses import replace

import pytest
import soundfile

from asr.audio import read_audio
from asr.data.fingerprints import from_json
from asr.data.manifest import Dataset, Utterance, write_dataset, write_manifest
from asr.decode.profile import DecodingProfile
from asr.errors import ScoreError
from asr.evaluate import evaluate, read_splits
from asr.evaluate.markdown import summary
from asr.model.file import load_model
from asr.recognizer import Recognizer
from asr.train.run import train


@pytest.fixture(scope="module")
def folder(tmp_path_factory, write_split):
    """A model trained on twenty recordings of a voice, and splits of its data."""
    from asr.config_file import parse_config

    folder = tmp_path_factory.mktemp("seen")
    for name, count in (("train", 20), ("valid", 4), ("test", 12)):
        write_split(folder, name, [f"{name} {number} words" for number in range(count)])
    write_dataset(folder, Dataset("babble"))
    config = parse_config(
        {
            "features": {"sample_rate": 8000, "mels": 16},
            "model": {"subsample": [{"channels": 8, "kernel": 3, "stride": 2}], "layers": 1, "hidden": 8},
            "train": {"epochs": 1, "threads": 1, "bf16": "off"},
        }
    )
    train(config, folder, folder / "run")
    return folder


def report_of(folder, *manifests, **options):
    recognizer = Recognizer.load(folder / "run")
    return evaluate(recognizer, read_splits(map(str, manifests)), folder / "report", **options)


def test_new_recordings_raise_no_alarm(folder):
    report = report_of(folder, folder / "test.jsonl", strict=True)
    assert report["splits"]["test"]["heard"] == {
        name: {"utterances": 0, "ids": [], "speakers": 0, "compared": 12, "too_short": 0} for name in ("train", "valid")
    }
    line = "12 recordings compared with what the model was trained and validated on, no overlap found (some copies are"
    page = (folder / "report/report.html").read_text(encoding="utf-8")
    assert f"test: {line}" in summary(report)
    assert line in (folder / "report/report.md").read_text(encoding="utf-8") and line in page
    assert "seen in training" not in summary(report) + (folder / "report/report.md").read_text()


def test_what_is_too_short_to_be_compared_is_counted(folder, babble):
    utterances = []
    for number, seconds in enumerate((0.1, 0.1, 1.0)):
        path = folder / f"audio/clip-{number}.wav"
        soundfile.write(path, babble(seconds, 8000, seed=number + 77), 8000)
        utterances.append(Utterance(f"clip-{number}", str(path), "a", seconds))
    write_manifest(folder / "clips.jsonl", utterances)
    found = summary(report_of(folder, folder / "clips.jsonl"))
    assert "clips: 1 recording compared with what the model was trained and validated on" in found
    assert "; 2 too short or quiet for a fingerprint (" in found


def test_ten_of_the_training_set_slipped_in_renamed_and_in_another_format(folder):
    rows = [json.loads(line) for line in (folder / "test.jsonl").read_text().splitlines()]
    mixed = [Utterance(row["id"], str(folder / row["audio"]), row["text"], row["duration"], "x") for row in rows]
    for number in range(2, 12):
        waveform = read_audio(folder / f"audio/train-{number}.wav", 8000)
        path = folder / "audio" / f"new-{number}.mp3"
        soundfile.write(path, waveform, 8000, format="MP3")
        mixed.insert(
            3 * number % 7, Utterance(f"new-{number}", str(path), "words", len(waveform) / 8000, "someone else")
        )
    write_manifest(folder / "mixed.jsonl", mixed)
    report = report_of(folder, folder / "mixed.jsonl")
    found = report["splits"]["mixed"]["heard"]["train"]
    assert found["utterances"] == 10 and sorted(found["ids"]) == sorted(f"new-{number}" for number in range(2, 12))
    line = "10 of 22 utterances were seen in training"
    assert "no overlap found" not in summary(report)
    assert f"mixed: {line}" in summary(report)
    assert summary(report).splitlines()[0].endswith(", 10 seen in training")
    text = (folder / "report/report.md").read_text(encoding="utf-8")
    assert text.index(f"**{line}") < text.index("%WER")
    assert "| mixed (10 seen in training) |" in text
    page = (folder / "report/report.html").read_text(encoding="utf-8")
    assert '<span class="alarm">10 seen in training</span>' in page
    before = (folder / "report/report.json").read_bytes()
    with pytest.raises(ScoreError, match=rf"mixed: {line}.*no report was written, because of --strict"):
        report_of(folder, folder / "mixed.jsonl", strict=True)
    assert (folder / "report/report.json").read_bytes() == before


def test_the_validation_set_is_told_from_the_training_set(folder):
    report = report_of(folder, folder / "train.jsonl", folder / "valid.jsonl")
    lines = summary(report)
    assert "train: 20 of 20 utterances were seen in training" in lines
    assert "valid: 4 of 4 utterances were in the validation set that chose this model" in lines
    assert "train: 1 of its speakers was seen in training" in lines


def test_what_decoding_was_tuned_on_matters_where_that_tuning_is_used(folder):
    recognizer = Recognizer.load(folder / "run")
    recognizer.file.heard = recognizer.file.heard | {"tune": recognizer.file.heard["valid"]}
    splits = read_splits([str(folder / "valid.jsonl")])
    assert "tune" not in evaluate(recognizer, splits, folder / "greedy")["splits"]["valid"]["heard"]
    profile = DecodingProfile("", 0.5, 1.0, 10, "", 4, 0.5)
    recognizer.decoding = replace(recognizer.decoding, profile=profile)
    report = evaluate(recognizer, splits, folder / "tuned")
    assert report["splits"]["valid"]["heard"]["tune"]["utterances"] == 4
    assert "4 of 4 utterances were in the set that its decoding was tuned on" in summary(report)


def test_a_model_that_does_not_remember_says_so(folder, tiny_model):
    recognizer = Recognizer.load(tiny_model)
    report = evaluate(recognizer, read_splits([str(folder / "test.jsonl")]), folder / "tiny")
    assert report["splits"]["test"]["heard"] is None
    assert "keeps no record of its training recordings" in (folder / "tiny/report.md").read_text(encoding="utf-8")
    with pytest.raises(ScoreError, match="keeps no record of its training recordings"):
        evaluate(recognizer, read_splits([str(folder / "test.jsonl")]), folder / "strict", strict=True)
    assert not (folder / "strict").exists()


def test_the_model_file_tells_nobody_who_was_heard(folder):
    content = (folder / "run/model.safetensors").read_bytes()
    assert b"train-3" not in content and b"train speaker" not in content
    recordings, speakers = from_json(load_model(folder / "run").heard["train"])
    assert len(recordings) == 20 and len(speakers) == 1
