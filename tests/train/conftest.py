"""A language of tones that a very small model learns in seconds, and the settings of such a model."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from asr.audio import write_wav
from asr.config import Config, load_config, parse_config
from asr.data.manifest import Dataset, Utterance, write_dataset, write_manifest

RATE = 8000
HERTZ = {"a": 400.0, "b": 900.0, "c": 1500.0, "d": 2200.0, "é": 3000.0}
TRAIN = ("ab", "ba", "ca da", "dé", "éa b", "cab", "bed", "da ca", "bé", "ac", "d a b", "aé")
VALID = ("ad", "bac", "c é", "db a")

TINY = {
    "name": "tones",
    "features": {"sample_rate": RATE, "mels": 16},
    "model": {"subsample": [{"channels": 12, "kernel": 5, "stride": 2}], "layers": 1, "hidden": 12, "dropout": 0.1},
    "augment": {"noise": 0.5, "join_seconds": 3, "join_count": 2, "mel_mask_bands": 3, "time_mask_ms": 50},
    "batches": {"max_utterances": 3},
    "train": {"epochs": 2, "lr": 1e-2, "checkpoint_steps": 2, "threads": 1, "bf16": "off", "device": "cpu"},
}


def say(text: str, seed: int = 0) -> np.ndarray:
    """A text in tones, 150 ms a letter (unknown letters hum), a little different with each seed."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(0.15 * RATE)) / RATE
    fade = np.minimum(1, np.minimum(time, time[::-1]) / 0.02)
    tones = [
        rng.uniform(0.1, 0.3) * fade * np.sin(2 * np.pi * HERTZ.get(letter, 150.0) * time + rng.uniform(0, 6))
        for letter in text
        if letter != " "
    ]
    silence = np.zeros(round(0.1 * RATE))
    spoken = iter(tones)
    waveform = np.concatenate([silence, *(silence if letter == " " else next(spoken) for letter in text), silence])
    return (waveform + 0.001 * rng.standard_normal(len(waveform))).astype(np.float32)


def record(folder: Path, split: str, texts: Sequence[str], speaker: str | None = None) -> list[Utterance]:
    """Recordings of texts in a folder, not yet in a manifest; ids are train-0, train-1, ..."""
    utterances = []
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(texts):
        path = folder / "audio" / f"{split}-{number}.wav"
        waveform = say(text, seed=1000 * len(split) + number)
        write_wav(path, waveform, RATE)
        utterances.append(Utterance(path.stem, str(path), text, len(waveform) / RATE, speaker or f"{split} speaker"))
    return utterances


def corpus(folder: Path, train: Sequence[str] = TRAIN, valid: Sequence[str] = VALID) -> Path:
    """A data folder with the recordings of training and validation texts."""
    write_manifest(folder / "train.jsonl", record(folder, "train", train))
    write_manifest(folder / "valid.jsonl", record(folder, "valid", valid))
    write_dataset(folder, Dataset("tones", shared=("text",)))
    return folder


def settings(**sections: dict[str, object]) -> Config:
    """The settings of a tiny model, with some of them changed: train={"epochs": 5}."""
    return parse_config({section: _merged(section, sections) for section in {*TINY, *sections}})


def _merged(section: str, changes: dict[str, dict[str, object]]) -> object:
    default = TINY.get(section, {})
    return default | changes.get(section, {}) if isinstance(default, dict) else default


def plain(**sections: dict[str, object]) -> Config:
    """The same without augmentation and dropout."""
    quiet = {"speed": [1, 1], "gain_db": [0, 0], "noise": 0, "join_seconds": 0, "time_masks": 0, "mel_masks": 0}
    sections["augment"] = quiet | sections.get("augment", {})
    sections["model"] = {"dropout": 0.0} | sections.get("model", {})
    return settings(**sections)


@pytest.fixture(scope="session")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder: a dozen training utterances, four for validation."""
    return corpus(tmp_path_factory.mktemp("tones"))


@pytest.fixture(scope="session")
def tiny_yaml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny settings as a file."""
    path = tmp_path_factory.mktemp("conf") / "tones.yaml"
    with path.open("w", encoding="utf-8") as stream:
        YAML(typ="safe", pure=True).dump(TINY, stream)
    assert load_config(path) == settings()
    return path


@pytest.fixture(name="corpus", scope="session")
def corpus_fixture() -> Callable[..., Path]:
    """The function `corpus`."""
    return corpus


@pytest.fixture(name="record", scope="session")
def record_fixture() -> Callable[..., list[Utterance]]:
    """The function `record`."""
    return record


@pytest.fixture(name="settings", scope="session")
def settings_fixture() -> Callable[..., Config]:
    """The function `settings`."""
    return settings


@pytest.fixture(name="plain", scope="session")
def plain_fixture() -> Callable[..., Config]:
    """The function `plain`."""
    return plain
