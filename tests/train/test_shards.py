"""Training on shards: the weights of loose files where all fits in memory, and a run that resumes where it does not."""

from pathlib import Path

import pytest
import torch

from asr.corpora.shards import pack_corpus
from asr.data.manifest import Dataset, read_manifest, write_dataset
from asr.errors import TrainingError
from asr.train.checkpoint import checkpoints
from asr.train.journal import Journal
from asr.train.run import train

NOT_CACHED = {"batches": {"cache_mb": 0, "shard_window": 2, "max_utterances": 2, "workers": 2}}


@pytest.fixture(scope="module")
def packed(tones, tmp_path_factory) -> Path:
    """The tones in shards of about two recordings."""
    folder = tmp_path_factory.mktemp("packed")
    shards = pack_corpus(folder, {name: read_manifest(tones / f"{name}.jsonl") for name in ("train", "valid")}, 0.025)
    assert len({one.audio.partition("@")[0] for one in shards["train"]}) > 3
    write_dataset(folder, Dataset("tones", shared=("text",)))
    return folder


def assert_same_weights(one: Path, other: Path) -> None:
    """Bit for bit."""
    ours, theirs = (torch.load(checkpoints(run / "checkpoints")[0], weights_only=True)["model"] for run in (one, other))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_shards_in_memory_give_the_weights_of_loose_files(tones, packed, settings, tmp_path):
    train(settings(), tones, tmp_path / "loose")
    train(settings(), packed, tmp_path / "shards")
    assert_same_weights(tmp_path / "loose", tmp_path / "shards")


def test_a_run_that_reads_windows_of_shards_resumes_bit_for_bit(packed, settings, tmp_path, monkeypatch):
    config = settings(**NOT_CACHED)
    train(config, packed, tmp_path / "whole")

    def stop(self: Journal, figures: dict[str, float], *_: float, **__: float) -> None:
        if figures["step"] == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "step", stop)
        with pytest.raises(KeyboardInterrupt):
            train(config, packed, tmp_path / "stopped")
    train(config, packed, tmp_path / "stopped", resume=True)
    assert_same_weights(tmp_path / "whole", tmp_path / "stopped")


def test_a_run_does_not_go_on_with_other_shards(packed, settings, tmp_path):
    """Its batches would be others: utterances of the epoch under way would be seen twice, or not at all."""
    config = settings(**NOT_CACHED, train={"epochs": 1})
    train(config, packed, tmp_path / "run")
    pack_corpus(tmp_path / "again", {name: read_manifest(packed / f"{name}.jsonl") for name in ("train", "valid")}, 500)
    write_dataset(tmp_path / "again", Dataset("tones", shared=("text",)))
    with pytest.raises(TrainingError, match=r"to train on these from the start.*shards.* must be as they were"):
        train(config, tmp_path / "again", tmp_path / "run", resume=True)
    cached = settings(**{"batches": NOT_CACHED["batches"] | {"cache_mb": 100}}, train={"epochs": 2})
    with pytest.raises(TrainingError, match=r"batches\.cache_mb.* must be as they were"):
        train(cached, packed, tmp_path / "run", resume=True)
    packed.rename(packed.with_name("moved"))
    train(config, packed.with_name("moved"), tmp_path / "run", resume=True)
    packed.with_name("moved").rename(packed)
