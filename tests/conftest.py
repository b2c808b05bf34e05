"""What tests of several modules share: real data where there is any, and a small model."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

# Read by torch when it is imported. Two test processes with two threads each would fight over two cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("asr", deadline=None, database=None)  # a busy machine is no failure
settings.load_profile("asr")


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real corpora: $ASR_TEST_DATA, else shared/data beside the checkout."""
    folder = Path(os.environ.get("ASR_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("no real data: set ASR_TEST_DATA to a folder that holds fsdd, libri-mini, an4-sample, kathleen")
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of an untrained model for 8 kHz audio, with an output layer that makes it talk."""
    import torch

    from asr.config_file import parse_config
    from asr.model.acoustic import AcousticModel
    from asr.model.file import ModelFile, save_model
    from asr.text import Normalizer, Tokenizer

    config = parse_config(
        {
            "name": "tiny",
            "features": {"sample_rate": 8000, "mels": 16},
            "model": {"subsample": [{"channels": 16, "kernel": 3, "stride": 2}], "layers": 2, "hidden": 12},
        }
    )
    tokenizer = Tokenizer.build(["abc de"])
    torch.manual_seed(3)
    model = AcousticModel(config, len(tokenizer)).eval()
    with torch.no_grad():
        model.output.weight *= 20  # far from ties, and different tokens at different steps
    folder = tmp_path_factory.mktemp("tiny")
    training = {
        "dataset": "nothing",
        "train_utterances": 12,
        "train_seconds": 36.0,
        "epoch": 3,
        "step": 30,
        "validation": {"wer": 0.125, "cer": 0.05, "utterances": 4},
    }
    save_model(folder / "model.safetensors", ModelFile(model, tokenizer, Normalizer.from_config(config.text), training))
    return folder


def babble(seconds: float, rate: int = 8000, seed: int = 0) -> np.ndarray:
    """Speech-like sound (samples,): tones and noise that change every 100 ms."""
    rng = np.random.default_rng(seed)
    count = max(1, round(seconds * rate))
    time = np.arange(count) / rate
    syllables = rng.uniform(0, 1, size=(int(seconds * 10) + 1, 3))
    pitch, level, breath = syllables[np.minimum((time * 10).astype(int), len(syllables) - 1)].T
    tone = np.sin(2 * np.pi * np.cumsum(100 + 1500 * pitch) / rate)
    return (0.3 * level * tone + 0.1 * breath * rng.standard_normal(count)).astype(np.float32)


@pytest.fixture(name="babble", scope="session")
def babble_fixture():  # type: ignore[no-untyped-def]
    """The function `babble`."""
    return babble


@pytest.fixture(scope="session")
def write_split():  # type: ignore[no-untyped-def]
    """A function that writes recordings of `texts` and their manifest `folder/name.jsonl`, and returns its utterances.

    Every recording sounds different, each of a second or more; the ids are name-0, name-1, ...
    """
    from asr.audio import write_wav
    from asr.data.manifest import Utterance, write_manifest

    def write(folder: Path, name: str, texts: list[str], speaker: str = "", rate: int = 8000) -> list[Utterance]:
        utterances = []
        for number, text in enumerate(texts):
            seconds = 1.0 + 0.1 * number
            path = folder / "audio" / f"{name}-{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_wav(path, babble(seconds, rate, seed=sum(path.stem.encode()) * 1000 + number), rate)
            utterances.append(Utterance(path.stem, str(path), text, seconds, speaker or f"{name} speaker"))
        write_manifest(folder / f"{name}.jsonl", utterances)
        return utterances

    return write
