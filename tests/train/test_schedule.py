"""The learning rate's shape, and which weights decay."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr.config import TrainConfig
from asr.model.acoustic import AcousticModel
from asr.train.schedule import learning_rate, make_optimizer

SETTINGS = TrainConfig(lr=2e-3, warmup=0.1, final_lr=0.01)


def test_it_rises_and_falls_between_its_marks():
    assert 0 < learning_rate(0.0, SETTINGS) < 1e-5  # the first step is not wasted
    assert learning_rate(0.05, SETTINGS) == pytest.approx(1e-3)
    assert learning_rate(0.1, SETTINGS) == pytest.approx(2e-3)
    assert learning_rate(0.55, SETTINGS) == pytest.approx(2e-3 * (0.01 + 1) / 2)  # half way down the cosine
    assert learning_rate(1.0, SETTINGS) == pytest.approx(2e-5)
    assert learning_rate(1.2, SETTINGS) == pytest.approx(2e-5)


@given(st.floats(0, 1), st.floats(0, 0.9), st.floats(0, 1))
def test_it_stays_within_its_limits(progress, warmup, final):
    settings = TrainConfig(lr=1.0, warmup=warmup, final_lr=final)
    rate = learning_rate(progress, settings)
    assert 0 <= rate <= 1 + 1e-12
    if progress >= warmup:
        assert rate >= final - 1e-12


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20))
def test_it_has_one_peak(points):
    rates = [learning_rate(point, SETTINGS) for point in sorted(points)]
    top = rates.index(max(rates))
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)


def test_without_a_warm_up_it_starts_at_the_top():
    assert learning_rate(0.0, TrainConfig(lr=1e-3, warmup=0)) == 1e-3


def test_only_matrices_decay(settings):
    config = settings(train={"weight_decay": 0.1})
    model = AcousticModel(config, 4)
    optimizer = make_optimizer(model, config.train)
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert len(decay) == len(list(model.parameters()))
    for name, parameter in model.named_parameters():
        matrix = "bias" not in name and "norm" not in name
        assert decay[id(parameter)] == (0.1 if matrix else 0.0), name


def test_the_optimizer_steps(settings):
    config = settings()
    weight = torch.nn.Linear(2, 2)
    optimizer = make_optimizer(weight, config.train)
    before = weight.weight.detach().clone()
    weight(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    assert float((weight.weight - before).detach().abs().max()) == pytest.approx(config.train.lr, rel=0.05)
