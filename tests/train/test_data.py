"""The data of a run: what is refused, and what is left out and said, before the first step."""

from dataclasses import replace

from refusal import refused

from asr.data.manifest import Dataset, read_manifest, write_dataset, write_manifest
from asr.errors import AudioError, ManifestError, TrainingError
from asr.model.file import load_model
from asr.train.run import train


def test_missing_data_leaves_no_run_behind(settings, tmp_path):
    """So that the same command with the right folder is not told that a run is there already."""
    assert "no such file" in refused(ManifestError, settings(), tmp_path / "nowhere", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_splits_that_share_a_recording_or_a_speaker_are_refused(corpus, settings, tmp_path):
    folder = corpus(tmp_path / "data", ["ab", "ba"], ["cd"])
    train_set, valid_set = (read_manifest(folder / f"{split}.jsonl") for split in ("train", "valid"))
    write_manifest(folder / "valid.jsonl", [replace(valid_set[0], speaker=train_set[0].speaker)])
    assert "speaker" in refused(ManifestError, settings(), folder, tmp_path / "run")
    write_dataset(folder, Dataset(shared=("speaker", "text")))
    write_manifest(folder / "valid.jsonl", [*valid_set, replace(train_set[0], id="copy")])
    assert "audio" in refused(ManifestError, settings(), folder, tmp_path / "run")
    write_manifest(folder / "valid.jsonl", valid_set)
    write_manifest(folder / "test.jsonl", [train_set[1]])
    assert "train and test share" in refused(ManifestError, settings(), folder, tmp_path / "run")


def test_what_is_left_out_is_said(corpus, settings, tmp_path, capsys):
    folder = corpus(tmp_path / "data", ["ab", "ba", "?", "c a"], ["cd"])
    utterances = read_manifest(folder / "train.jsonl")
    utterances[0] = replace(utterances[0], text="ab" * 100)
    write_manifest(folder / "train.jsonl", utterances)
    train(settings(train={"epochs": 1}), folder, tmp_path / "run")
    err = capsys.readouterr().err
    assert "left out 1 of 3 training utterances with an empty transcript: train-2" in err
    assert "left out 1 of 3" in err and "more tokens than the model has steps" in err and "train-0" in err
    assert load_model(tmp_path / "run").training["train_utterances"] == 2


def test_a_tone_that_is_taken_off_again_is_said(corpus, settings, tmp_path, capsys):
    folder = corpus(tmp_path / "data", ["ab", "ba"], ["cd"])
    for normalize, told in (("utterance", True), ("corpus", False)):
        config = settings(train={"epochs": 1}, augment={"tone_db": 3}, features={"normalize": normalize})
        train(config, folder, tmp_path / normalize)
        assert ("augment.tone_db has no effect" in capsys.readouterr().err) == told


def test_nothing_left_is_an_error(corpus, settings, tmp_path):
    folder = corpus(tmp_path / "data", ["ab", "ba"], ["cd"])
    config = settings(batches={"max_seconds": 0.1})
    assert "no training utterances left" in refused(TrainingError, config, folder, tmp_path / "run")


def test_an_unreadable_recording_is_named(corpus, settings, tmp_path):
    folder = corpus(tmp_path / "data", ["ab", "ba"], ["cd"])
    (folder / "audio" / "train-1.wav").write_bytes(b"RIFF")
    assert "train-1.wav" in refused(AudioError, settings(), folder, tmp_path / "run")


def test_joining_needs_to_know_who_speaks(settings, tones, tmp_path):
    """It would join nothing, and a model of single words would still learn a space."""
    for split in ("train", "valid"):
        nameless = [replace(one, speaker=None) for one in read_manifest(tones / f"{split}.jsonl")]
        write_manifest(tmp_path / f"{split}.jsonl", nameless)
    assert "no speaker is known" in refused(TrainingError, settings(), tmp_path, tmp_path / "run")
