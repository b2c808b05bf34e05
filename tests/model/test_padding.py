"""The first promise: an utterance gets the same log-probabilities alone and in any batch."""

from pathlib import Path

import numpy as np
import pytest
import torch

from asr.audio import read_audio
from asr.config import Config
from asr.config_file import parse_config
from asr.decode import GreedyDecoder
from asr.model.acoustic import AcousticModel

RATE = 8000
TOKENS = ("<blank>", *"abcdefghijk")
# Layer normalisation after layers that are much narrower magnifies float32's rounding beyond that of models in use.
MODEL = {
    "subsample": [{"channels": 32, "kernel": 5, "stride": 2}, {"channels": 32, "kernel": 3, "stride": 2}],
    "layers": 2,
    "hidden": 24,
    "projection": 32,
    "dense": 32,
    "dense_top": 32,
}
SPECTRAL = {
    **MODEL,
    "conv2d": [{"channels": 4, "kernel": [5, 7], "stride": [2, 2]}, {"channels": 4, "kernel": [3, 3]}],
    "subsample": [{"channels": 32, "kernel": 3, "stride": 2}],
    "norm": "batch",
}
Rows = list[torch.Tensor]


def full_model(dtype: torch.dtype = torch.float32, layers: dict = MODEL, **features: object) -> AcousticModel:
    """A small model with every kind of layer, its output as sure of itself as that of a trained one."""
    config = parse_config({"features": {"sample_rate": RATE, "mels": 20, **features}, "model": layers})
    torch.manual_seed(1)
    model = AcousticModel(config, len(TOKENS))
    bands = config.features.bands
    model.set_statistics(torch.full((bands,), -8.0), torch.full((bands,), 3.0))
    with torch.no_grad():
        model.output.weight *= 2
        for name, buffer in model.named_buffers():
            if "running" in name:
                buffer.uniform_(0.05, 0.2)
    return model.to(dtype).eval()


def pad(waveforms: list[np.ndarray], dtype: torch.dtype, beyond: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    """A batch (batch, samples) whose padding holds `beyond`, and lengths (batch,)."""
    lengths = torch.tensor([len(waveform) for waveform in waveforms])
    batch = torch.full((len(waveforms), int(lengths.max())), beyond, dtype=dtype)
    for row, waveform in zip(batch, waveforms, strict=True):
        row[: len(waveform)] = torch.from_numpy(waveform)
    return batch, lengths


@torch.inference_mode()
def run(model: AcousticModel, waveforms: list[np.ndarray], beyond: float = 0.0, bf16: bool = False) -> Rows:
    """Log-probabilities (steps, tokens) of each waveform, from one batch."""
    features, frames = model.features(*pad(waveforms, next(model.parameters()).dtype, beyond))
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        log_probs, steps = model.encode(features, frames)
    return [row[:size] for row, size in zip(log_probs, steps.tolist(), strict=True)]


def batches(count: int, pool: int) -> list[list[int]]:
    """Random batches of 2 to 8 places in a pool of utterances."""
    rng = np.random.default_rng(7)
    return [list(rng.choice(pool, rng.integers(2, 9), replace=False)) for _ in range(count)]


def largest_difference(model: AcousticModel, utterances: list[np.ndarray], count: int, least: float) -> float:
    """Alone against in random batches, where the log-probability is above `least`; transcripts must be identical."""
    decoder = GreedyDecoder(TOKENS)
    alone = [run(model, [utterance])[0] for utterance in utterances]
    texts = [decoder.decode(row)[0].text for row in alone]
    assert sum(len(text) > 1 for text in texts) > len(texts) / 2  # else the transcripts prove nothing
    worst = 0.0
    for places in batches(count, len(utterances)):
        rows = run(model, [utterances[place] for place in places])
        for place, row in zip(places, rows, strict=True):
            difference = (row - alone[place]).abs()[alone[place] > least]
            worst = max(worst, float(difference.max()))
            assert decoder.decode(row)[0].text == texts[place]
    return worst


@pytest.fixture(scope="module")
def digits(data: Path) -> list[np.ndarray]:
    """Sixty recordings of all speakers, from short to long."""
    return [read_audio(file, RATE) for file in sorted((data / "fsdd" / "recordings").glob("*.wav"))[::50]]


@pytest.fixture(scope="module")
def babbles(babble) -> list[np.ndarray]:
    return [babble(0.05 + 0.09 * number, RATE, seed=number) for number in range(20)]


@pytest.mark.parametrize("normalize", ["corpus", "utterance"])
@pytest.mark.parametrize(
    ("dtype", "least", "bound"), [(torch.float64, -float("inf"), 1e-10), (torch.float32, -20.0, 5e-5)]
)
def test_padding_never_changes_a_result_on_real_speech(dtype, least, bound, normalize, digits, record_property):
    worst = largest_difference(full_model(dtype, normalize=normalize), digits, 200, least)
    record_property("largest_difference", worst)
    print(f"\n{dtype}, {normalize}: {worst:.2g}")
    assert worst <= bound


@pytest.mark.parametrize("normalize", ["corpus", "utterance"])
@pytest.mark.parametrize(
    ("dtype", "least", "bound"), [(torch.float64, -float("inf"), 1e-10), (torch.float32, -20.0, 5e-5)]
)
def test_padding_never_changes_a_result_on_synthetic_sound(dtype, least, bound, normalize, babbles):
    assert largest_difference(full_model(dtype, normalize=normalize), babbles, 30, least) <= bound


def test_padding_never_changes_a_result_under_batch_normalisation(babbles):
    """In recognition, that is: in training the others in a batch are heard, but not how much padding there is."""
    model = full_model(torch.float64, SPECTRAL, scale="linear", window_ms=20)
    assert largest_difference(model, babbles, 30, -float("inf")) <= 1e-10


def test_what_padding_holds_changes_no_bit(babbles):
    model = full_model()
    clean, dirty = run(model, babbles[:6]), run(model, babbles[:6], beyond=float("nan"))
    assert all(torch.equal(one, other) for one, other in zip(clean, dirty, strict=True))


def test_gradients_do_not_depend_on_padding_either(babbles):
    """The gradient of a sum over two utterances is the sum of their gradients."""

    def gradient(*waveforms: np.ndarray) -> torch.Tensor:
        model = full_model(torch.float64)
        log_probs, steps = model(*pad(list(waveforms), torch.float64))
        sum(row[:size, 1].sum() for row, size in zip(log_probs, steps.tolist(), strict=True)).backward()
        return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])

    short, long = babbles[2], babbles[14]
    together, apart = gradient(short, long), gradient(short) + gradient(long)
    assert float((together - apart).abs().max()) <= 1e-10 * float(apart.abs().max())


def test_bfloat16_is_reported(babbles, record_property):
    """Rounding to 8 bits differs with the shape of a matrix product: no promise, but a figure to look at."""
    model = full_model()
    alone = [run(model, [waveform], bf16=True)[0] for waveform in babbles]
    together = run(model, babbles, bf16=True)
    assert all(row.dtype == torch.float32 for row in together)
    worst = max(float((one - other).abs().max()) for one, other in zip(alone, together, strict=True))
    record_property("largest_difference", worst)
    print(f"\nbfloat16: {worst:.2g}")
    assert np.isfinite(worst)


def test_the_model_here_has_every_kind_of_layer():
    """So that the tests above go on to mean what they say when a setting is added to the model."""
    default = Config().model.model_dump()
    assert set(default) == set(SPECTRAL) | {"merge", "activation", "dropout"}
    assert all(MODEL.values())
