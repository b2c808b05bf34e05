"""The learning rate's shape, and which weights decay."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr.config import TrainConfig
from asr.errors import TrainingError
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


SCHEDULES = ("cosine", "one-cycle", "noam", "plateau", "constant")


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_warms_up_to_its_peak(schedule):
    settings = TrainConfig(lr=2e-3, warmup=0.2, schedule=schedule)
    rates = [learning_rate(share, settings) for share in (0.0, 0.05, 0.1, 0.15, 0.2)]
    assert rates == sorted(rates) and rates[0] < 2e-4 and rates[-1] == pytest.approx(2e-3)


@pytest.mark.parametrize(
    ("schedule", "end"), [("cosine", 0.01), ("one-cycle", 0.01), ("noam", 0.2**0.5), ("plateau", 1), ("constant", 1)]
)
def test_every_schedule_ends_where_it_says(schedule, end):
    settings = TrainConfig(lr=1.0, warmup=0.2, schedule=schedule, final_lr=0.01)
    assert learning_rate(1.0, settings) == pytest.approx(end)


def test_one_cycle_starts_at_a_25th_and_is_half_way_up_in_the_middle():
    settings = TrainConfig(lr=1.0, warmup=0.4, schedule="one-cycle")
    assert learning_rate(0.0, settings) == pytest.approx(0.04)
    assert learning_rate(0.2, settings) == pytest.approx(0.52)


def test_noam_falls_with_the_inverse_square_root():
    settings = TrainConfig(lr=1.0, warmup=0.1, schedule="noam")
    assert learning_rate(0.4, settings) == pytest.approx(0.5)
    assert learning_rate(0.9, settings) == pytest.approx(1 / 3)


def test_a_plateau_drops_it_down_to_the_last_of_it():
    settings = TrainConfig(lr=1.0, warmup=0.0, schedule="plateau", plateau_factor=0.5, final_lr=0.1)
    assert [learning_rate(0.5, settings, drops) for drops in range(5)] == [1.0, 0.5, 0.25, 0.125, 0.1]


@pytest.mark.parametrize(("name", "kind"), [("adamw", "AdamW"), ("adam", "Adam"), ("sgd", "SGD")])
def test_optimizers_by_name(settings, name, kind):
    config = settings(train={"optimizer": name, "momentum": 0.8})
    optimizer = make_optimizer(torch.nn.Linear(2, 2), config.train)
    assert type(optimizer).__name__ == kind
    assert name != "sgd" or optimizer.defaults["momentum"] == 0.8


def test_what_is_frozen_keeps_its_weights(settings):
    config = settings(train={"freeze": ["subsample", "layers.0"], "weight_decay": 0.5})
    model = AcousticModel(config, 4)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = make_optimizer(model, config.train)
    log_probs, _ = model(torch.randn(2, 4000), torch.tensor([4000, 3000]))
    log_probs.square().sum().backward()
    optimizer.step()
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name]) == name.startswith(("subsample.", "layers.0.")), name


def test_what_cannot_be_frozen_is_refused(settings):
    for names, message in ((["encoder"], "no 'encoder'; it has subsample, layers.0, "), (["layers.0", "lay"], "'lay'")):
        config = settings(train={"freeze": names})
        with pytest.raises(TrainingError, match=message):
            make_optimizer(AcousticModel(config, 4), config.train)
    everything = ["subsample", "layers", "between", "output"]
    config = settings(train={"freeze": everything})
    with pytest.raises(TrainingError, match="nothing to train"):
        make_optimizer(AcousticModel(config, 4), config.train)


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
