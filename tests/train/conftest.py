"""A language of tones that a very small model learns in seconds, the settings of such a model, and runs that crash."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from ruamel.yaml import YAML

from asr.atomic import leftovers
from asr.audio import write_wav
from asr.config import Config
from asr.config_file import load_config, parse_config
from asr.data.dataset import SpeechData
from asr.data.manifest import Dataset, Utterance, read_manifest, write_dataset, write_manifest
from asr.model.acoustic import AcousticModel
from asr.model.file import ModelFile
from asr.text import Normalizer, Tokenizer
from asr.train.average import MovingAverage
from asr.train.checkpoint import Progress, checkpoints
from asr.train.group import Group
from asr.train.journal import read_log
from asr.train.loop import Trainer
from asr.train.schedule import make_optimizer

RATE = 8000
HERTZ = {"a": 400.0, "b": 900.0, "c": 1500.0, "d": 2200.0, "é": 3000.0}
TRAIN = ("ab", "ba", "ca da", "dé", "éa b", "cab", "bed", "da ca", "bé", "ac", "d a b", "aé")
VALID = ("ad", "bac", "c é", "db a")

TINY: dict[str, dict[str, object]] = {
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


def settings(name: str = "tones", **sections: dict[str, object]) -> Config:
    """The settings of a tiny model, with some of them changed: train={"epochs": 5}."""
    merged = {section: TINY.get(section, {}) | sections.get(section, {}) for section in {*TINY, *sections}}
    return parse_config({"name": name, **merged})


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
        YAML(typ="safe", pure=True).dump({"name": "tones", **TINY}, stream)
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


@pytest.fixture
def make_trainer(tones: Path, tmp_path: Path) -> Callable[..., Trainer]:
    """A function that makes a trainer of a config, on the tones."""

    def make(config: Config) -> Trainer:
        normalizer = Normalizer.from_config(config.text)
        training, validation = (read_manifest(tones / f"{split}.jsonl") for split in ("train", "valid"))
        tokenizer = Tokenizer.build([*(normalizer(utterance.text) for utterance in training), " "])
        torch.manual_seed(0)
        model = AcousticModel(config, len(tokenizer))
        return Trainer(
            ModelFile(model, tokenizer, normalizer, {"validation": {"utterances": len(validation)}}),
            make_optimizer(model, config.train),
            MovingAverage(model, config.train.ema) if config.train.ema else None,
            SpeechData(training, config, normalizer, tokenizer),
            SpeechData(validation, config, normalizer, None),
            Progress(),
            tmp_path,
            "data",
            Group(),
        )

    return make


class Outcome(NamedTuple):
    """How a run ended."""

    status: int | None
    err: str
    seconds: float


class Family:
    """Runs of `asr train` with one set of settings on the tones, each in a fork of a process (see `family.py`).

    Twelve steps in three epochs; checkpoints at steps 0, 3, 6, 9 and at the end of an epoch: 4, 8, 12.
    """

    SETTINGS = ("train.epochs=3", "train.checkpoint_steps=3", "batches.max_utterances=2")

    def __init__(self, conf: Path, data: Path, folder: Path) -> None:
        self.conf, self.data, self.folder = conf, data, folder
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("family.py")],
            env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.seconds: dict[int, float] = {}

    def train(
        self,
        out: Path,
        workers: int,
        *options: str,
        fault: dict[str, Any] | None = None,
        kill_after: float | None = None,
    ) -> Outcome:
        """One `asr train --resume`, which may be given a fault, or be killed after so many seconds."""
        command = ["train", self.conf, *self.SETTINGS, f"batches.workers={workers}", *options]
        command += ["--data", self.data, "--out", out, "--resume"]
        order = {"arguments": list(map(str, command)), "fault": fault, "kill_after": kill_after}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return Outcome(**json.loads(self.process.stdout.readline()))

    def undisturbed(self, workers: int = 0) -> Path:
        """A run that came to its end in one go."""
        out = self.folder / f"with {workers} workers"
        if not out.exists():
            outcome = self.train(out, workers)
            assert outcome.status == 0, outcome.err
            self.seconds[workers] = outcome.seconds
            steps = [record["step"] for record in read_log(out / "log.jsonl") if record["kind"] == "epoch"]
            assert steps == [4, 8, 12]  # else faults are not where they say
        return out

    def resume(self, run: Path, workers: int) -> str:
        """Take a run to its end, and compare it with undisturbed ones; returns where it was resumed."""
        outcome = self.train(run, workers)
        assert outcome.status == 0, outcome.err
        assert_same(state_of(run), state_of(self.undisturbed()))
        assert_same(figures_of(run), figures_of(self.undisturbed()), "log")
        models = [(self.undisturbed(workers) / "model.safetensors").read_bytes() for workers in (0, 2)]
        assert (run / "model.safetensors").read_bytes() in models  # which differ in that setting
        assert leftovers(run) == leftovers(run / "checkpoints") == []
        after = outcome.err.partition("; from step ")[2]
        return f"step {after.split()[0]}" if after else "the start"


def state_of(run: Path) -> dict[str, Any]:
    """The newest checkpoint, but for the time it took."""
    state = torch.load(checkpoints(run / "checkpoints")[0], weights_only=True)
    del state["progress"]["seconds"]
    return state


def figures_of(run: Path) -> list[dict[str, Any]]:
    """The log, but for times and speeds and what computed; every line of it must be whole."""
    clock = ("seconds", "audio_per_second")
    records = [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    figures = (record for record in records if record["kind"] != "sitting")
    return [{key: value for key, value in record.items() if key not in clock} for record in figures]


def assert_same(one: Any, other: Any, place: str = "state") -> None:
    """Bit for bit, whatever is nested in what."""
    if isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype and torch.equal(one, other), place
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), place
        for key in one:
            assert_same(one[key], other[key], f"{place}.{key}")
    elif isinstance(one, list):
        for number, (ours, theirs) in enumerate(zip(one, other, strict=True)):
            assert_same(ours, theirs, f"{place}[{number}]")
    else:
        assert one == other, place


def assert_same_runs(one: Path, other: Path) -> None:
    """Weights, optimiser, progress, log and model file, bit for bit."""
    assert_same(state_of(one), state_of(other))
    assert_same(figures_of(one), figures_of(other), "log")
    assert (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()
    assert leftovers(one) == leftovers(one / "checkpoints") == []


@pytest.fixture(name="assert_same_runs", scope="session")
def assert_same_runs_fixture() -> Callable[[Path, Path], None]:
    """The function `assert_same_runs`."""
    return assert_same_runs


@pytest.fixture(scope="session")
def family(tiny_yaml: Path, tones: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Family]:
    """Quick runs of the program that may be killed."""
    if not hasattr(os, "fork"):
        pytest.skip("needs a system that forks")
    family = Family(tiny_yaml, tones, tmp_path_factory.mktemp("undisturbed"))
    yield family
    family.process.stdin.close()
    family.process.wait()
