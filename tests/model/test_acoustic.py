"""The acoustic model's shapes, options and starting weights; its first promise has its own file, test_padding.py."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from asr.config_file import parse_config
from asr.model.acoustic import AcousticModel


def make(vocabulary: int = 5, features: dict | None = None, **model: object) -> AcousticModel:
    torch.manual_seed(0)
    small = {"subsample": [{"channels": 8, "kernel": 3, "stride": 2}], "layers": 2, "hidden": 6, **model}
    features = {"sample_rate": 8000, "mels": 12, **(features or {})}
    return AcousticModel(parse_config({"features": features, "model": small}), vocabulary)


def loss_of_one_step(model: AcousticModel) -> float:
    """The CTC loss after one optimiser step, which must change every weight."""
    waveforms, lengths = torch.randn(2, 4000), torch.tensor([4000, 2500])
    targets, target_lengths = torch.tensor([1, 2, 3, 1]), torch.tensor([2, 2])
    before = [parameter.detach().clone() for parameter in model.parameters()]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0)
    for _ in range(2):
        log_probs, steps = model(waveforms, lengths)
        loss = functional.ctc_loss(log_probs.transpose(0, 1), targets, steps, target_lengths)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    changed = [not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True)]
    assert all(changed)
    return float(loss.detach())


@given(
    samples=st.integers(1, 9000),
    strides=st.lists(st.tuples(st.sampled_from([1, 3, 5, 11]), st.integers(1, 4)), max_size=3),
    rate=st.sampled_from([8000, 16000, 22050]),
    hop_ms=st.sampled_from([7.3, 10, 12.5]),
)
@settings(max_examples=60)
def test_config_foretells_the_steps(samples, strides, rate, hop_ms):
    subsample = [{"channels": 4, "kernel": kernel, "stride": stride} for kernel, stride in strides]
    features = {"sample_rate": rate, "hop_ms": hop_ms}
    model = make(features=features, subsample=subsample, layers=1, hidden=4)
    with torch.inference_mode():
        log_probs, steps = model(torch.zeros(1, samples), torch.tensor([samples]))
    assert int(steps[0]) == log_probs.shape[1] == model.config.steps(samples / rate)
    assert model.config.step_seconds == pytest.approx(
        model.config.features.hop / rate * torch.tensor([stride for _, stride in strides]).prod().item()
    )


def test_log_probs_are_normalised_logarithms():
    model = make().eval()
    log_probs, steps = model(torch.randn(3, 5000), torch.tensor([5000, 4000, 1]))
    assert log_probs.shape == (3, int(steps.max()), 5)
    assert log_probs.dtype == torch.float32
    assert torch.allclose(log_probs.exp().sum(-1), torch.ones(log_probs.shape[:2]), atol=1e-5)


@pytest.mark.parametrize("activation", ["relu", "clipped-relu", "tanh", "sigmoid", "gelu"])
@pytest.mark.parametrize("merge", ["concat", "sum"])
def test_every_activation_and_merge_learns(activation, merge):
    loss = loss_of_one_step(make(activation=activation, merge=merge))
    assert 0 < loss < float("inf")


@pytest.mark.parametrize("projection", [0, 10])
@pytest.mark.parametrize("dense", [0, 7])
@pytest.mark.parametrize("dense_top", [0, 9])
@pytest.mark.parametrize("norm", ["layer", "none"])
def test_every_width_learns(projection, dense, dense_top, norm):
    model = make(projection=projection, dense=dense, dense_top=dense_top, norm=norm)
    assert model.output.in_features == (dense_top or projection or 12)
    assert model.layers[1].forwards.input_size == (dense or projection or 12)
    assert any(isinstance(module, nn.LayerNorm) for module in model.modules()) == (norm == "layer")
    assert 0 < loss_of_one_step(model) < float("inf")


def test_a_model_without_convolutions_keeps_every_frame():
    model = make(subsample=[])
    log_probs, steps = model(torch.randn(1, 8000), torch.tensor([8000]))
    assert log_probs.shape[1] == int(steps[0]) == 101


def test_starting_weights_of_the_lstm():
    model = make(hidden=16, layers=2)
    directions = [module for module in model.modules() if isinstance(module, nn.LSTM)]
    assert len(directions) == 4
    for lstm in directions:
        into, recurrent, bias_into, bias_recurrent = (parameter.detach() for parameter in lstm.parameters())
        assert torch.equal(bias_into, torch.tensor([0.0, 1.0, 0.0, 0.0]).repeat_interleave(16))  # forget gate second
        assert not bias_recurrent.any()
        for gate, weights in zip(recurrent.split(16), into.split(16), strict=True):
            assert torch.allclose(gate @ gate.T, torch.eye(16), atol=1e-5)
            limit = (6 / (16 + lstm.input_size)) ** 0.5  # Glorot, one gate at a time
            assert 0.8 * limit < float(weights.abs().max()) <= limit


def test_starting_weights_of_the_other_layers():
    model = make(projection=64, dense=64, dense_top=64, activation="relu")
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.Conv1d):
            assert not module.bias.any(), name
    he = (2 / 64) ** 0.5
    assert float(model.between[0].dense.weight.detach().std()) == pytest.approx(he, rel=0.1)
    assert float(model.output.weight.detach().abs().max()) <= (6 / (64 + 5)) ** 0.5


def test_bfloat16_ends_at_the_log_softmax():
    model = make()
    with torch.autocast("cpu", torch.bfloat16):
        features, frames = model.features(torch.randn(2, 4000), torch.tensor([4000, 3000]))
        log_probs, _ = model.encode(features, frames)
    assert log_probs.dtype == torch.float32
    assert torch.allclose(log_probs.exp().sum(-1), torch.ones(log_probs.shape[:2]), atol=1e-5)


def test_normalisation_by_utterance_takes_the_level_away():
    """The microphone's gain and colour, a constant in each band, must not matter."""
    model = make(features={"normalize": "utterance"})
    waveforms, lengths = 0.1 * torch.randn(2, 4000), torch.tensor([4000, 2500])
    loud, _ = model.features(waveforms, lengths)
    soft, frames = model.features(waveforms / 10, lengths)
    assert torch.allclose(loud, soft, atol=1e-4)
    assert torch.allclose(loud.sum(1), torch.zeros(2, 12), atol=1e-3)
    assert not loud[1, frames[1] :].any()


@pytest.mark.parametrize(("loudness", "same"), [("equal", True), ("keep", False)])
def test_equal_loudness_takes_the_gain_away(loudness, same):
    model = make(features={"loudness": loudness})
    waveforms, lengths = 0.1 * torch.randn(2, 4000), torch.tensor([4000, 2500])
    loud, _ = model.features(waveforms, lengths)
    soft, _ = model.features(waveforms / 10, lengths)
    assert torch.allclose(loud, soft, atol=1e-4) == same
    silent, frames = model.features(torch.zeros(2, 4000), lengths)
    assert silent[1, : frames[1]].numpy() == pytest.approx(math.log(model.config.features.floor), abs=1e-3)


def test_normalisation_by_corpus_uses_its_statistics():
    model = make()
    waveforms, lengths = torch.randn(2, 4000), torch.tensor([4000, 2500])
    raw, frames = model.raw_features(waveforms, lengths)
    model.set_statistics(torch.arange(12.0), torch.full((12,), 2.0))
    features, _ = model.features(waveforms, lengths)
    assert torch.allclose(features[0], (raw[0] - torch.arange(12.0)) / 2)
    assert not features[1, frames[1] :].any()  # padding stays at the mean


@pytest.mark.parametrize("options", [{}, {"merge": "sum", "projection": 5}, {"dense": 7, "dense_top": 9}, {"dense": 7}])
def test_an_intermediate_layer_speaks_as_if_the_model_ended_there(options):
    """With the block after the top layer and the output layer, whatever their widths."""
    whole, short = make(layers=3, **options).eval(), make(layers=2, **options).eval()
    features, frames = torch.randn(2, 20, 12), torch.tensor([20, 13])
    features[1, 13:] = 0
    lower = {name: value for name, value in whole.state_dict().items() if name in short.state_dict()}
    last = {name: value for name, value in whole.state_dict().items() if name.startswith("between.2.")}
    short.load_state_dict(lower | {name.replace("between.2.", "between.1."): value for name, value in last.items()})
    log_probs, (first, second), steps = whole.encode_with(features, frames, intermediate=[1, 0])
    for found, model in ((log_probs, whole), (second, short)):
        expected, lengths = model.encode(features, frames)
        assert torch.equal(found, expected) and torch.equal(lengths, steps)
    assert first.shape == second.shape and not torch.allclose(first, second)
    assert whole.encode_with(features, frames)[1] == []
