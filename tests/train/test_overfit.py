"""`--overfit`: one batch by heart, or advice."""

from dataclasses import replace
from pathlib import Path

import pytest

from asr.data.manifest import read_manifest, write_manifest
from asr.errors import TrainingError
from asr.train import overfit
from asr.train.overfit import overfit_one_batch


def test_a_sane_batch_is_learnt(tones, settings, tmp_path, monkeypatch):
    """In spite of the config's augmentation, dropout and weight decay."""
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    config = settings(model={"hidden": 24, "dropout": 0.5}, train={"lr": 2e-2, "weight_decay": 1.0})
    assert overfit_one_batch(config, tones, said.append)
    assert said[0].startswith("overfitting 8 utterances: train-")
    assert any("CER 0.0 %" in line for line in said)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_learnt_brings_advice(corpus, settings, tmp_path, monkeypatch):
    """Equal recordings with different texts."""
    folder: Path = corpus(tmp_path, ["ab", "ba", "cd", "dc"], ["ad"])
    utterances = read_manifest(folder / "train.jsonl")
    write_manifest(folder / "train.jsonl", [replace(utterance, audio=utterances[0].audio) for utterance in utterances])
    monkeypatch.setattr(overfit, "_STEPS", 100)
    said: list[str] = []
    assert not overfit_one_batch(settings(train={"lr": 2e-2}), folder, said.append)
    assert "transcripts" in said[-1] and "train.lr" in said[-1]
    assert not any("CER 0.0 %" in line for line in said)


def test_nothing_to_learn_is_an_error(corpus, settings, tmp_path):
    folder = corpus(tmp_path, ["ab"], ["ad"])
    said: list[str] = []
    with pytest.raises(TrainingError, match="no training utterances left"):
        overfit_one_batch(settings(batches={"max_seconds": 0.01}), folder, said.append)
    assert "longer than" in said[0]


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_what_does_not_fit_in_memory_is_an_error(error, tones, settings, monkeypatch):
    def full(*_: object) -> None:
        raise error

    monkeypatch.setattr(overfit, "batch_losses", full)
    with pytest.raises(TrainingError, match=r"lower batches\.max_frames"):
        overfit_one_batch(settings(), tones, lambda line: None)
