"""Averages over steps and over epochs: by their definition, and out of the way."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import TrainingError
from asr.train.average import EpochWeights, MovingAverage, applied


def set_to(model: torch.nn.Module, value: float) -> None:
    for parameter in model.parameters():
        parameter.data.fill_(value)


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=30), st.floats(0, 0.999))
def test_it_is_the_weighted_mean_of_all_that_it_saw(values, decay):
    model = torch.nn.Linear(2, 2).double()
    set_to(model, 1.0)
    average, expected = MovingAverage(model, decay), 1.0
    for step, value in enumerate(values, start=1):
        set_to(model, value)
        average.update(model)
        kept = min(decay, (1 + step) / (10 + step))
        expected = kept * expected + (1 - kept) * value
    for weight in average.weights.values():
        torch.testing.assert_close(weight, torch.full_like(weight, expected), rtol=1e-9, atol=1e-9)


def test_it_is_there_within_and_gone_after():
    model = torch.nn.Linear(2, 2)
    average = MovingAverage(model, 0.5)
    set_to(model, 7.0)
    average.update(model)
    with pytest.raises(ZeroDivisionError), applied(average.weights, model):
        assert all(torch.equal(p, average.weights[name]) for name, p in model.named_parameters())
        raise ZeroDivisionError
    assert all((p == 7.0).all() for p in model.parameters())


def test_its_state_comes_back():
    model = torch.nn.Linear(2, 2)
    first, second = MovingAverage(model, 0.9), MovingAverage(torch.nn.Linear(2, 2), 0.9)
    set_to(model, 3.0)
    first.update(model)
    second.state = first.state
    set_to(model, -1.0)
    for average in (first, second):
        average.update(model)
    assert all(torch.equal(first.weights[name], second.weights[name]) for name in first.weights)


RATES = st.lists(st.sampled_from([0.1, 0.2, 0.3]), min_size=1, max_size=8)


def take(weights: EpochWeights, rates: list[float], first: int = 1) -> dict[int, torch.nn.Module]:
    """Add an epoch for each error rate; returns their models."""
    models = {}
    for epoch, rate in enumerate(rates[first - 1 :], start=first):
        torch.manual_seed(epoch)
        models[epoch] = torch.nn.Linear(3, 2)
        weights.add(models[epoch], epoch, rate)
    return models


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@settings(max_examples=25)
@given(RATES, st.integers(1, 4), st.sampled_from(["best", "last"]))
def test_the_mean_is_that_of_the_epochs_that_were_chosen(tmp_path_factory, rates, count, choice):
    weights = EpochWeights(tmp_path_factory.mktemp("run") / "epochs", choice, count, done=0)
    models = take(weights, rates)
    order = sorted(models, key=lambda epoch: (rates[epoch - 1], epoch)) if choice == "best" else sorted(models)[::-1]
    chosen = sorted(order[:count])
    assert weights.chosen() == chosen
    assert set(files(weights.folder)) == {f"epoch-{epoch:04d}.safetensors" for epoch in chosen}
    mean = weights.mean(chosen)
    for name, value in mean.items():
        expected = torch.stack([dict(models[epoch].named_parameters())[name] for epoch in chosen]).double().mean(0)
        torch.testing.assert_close(value, expected.detach(), rtol=1e-15, atol=0)


@settings(max_examples=25)
@given(RATES, st.data(), st.integers(1, 4), st.sampled_from(["best", "last"]))
def test_a_run_that_repeats_epochs_chooses_the_same(tmp_path_factory, rates, data, count, choice):
    """Killed anywhere after some epoch, it goes on from there or from further back."""
    killed, back = sorted([data.draw(st.integers(0, len(rates))), data.draw(st.integers(0, len(rates)))])[::-1]
    whole, cut = (tmp_path_factory.mktemp("run") / "epochs" for _ in range(2))
    take(EpochWeights(whole, choice, count, done=0), rates)
    take(EpochWeights(cut, choice, count, done=0), rates[:killed])
    cut.mkdir(exist_ok=True)
    (cut / ".epoch-0009.safetensors.1.tmp").touch()
    take(EpochWeights(cut, choice, count, done=back), rates, first=back + 1)
    assert files(cut) == files(whole)


def test_the_mean_of_equal_weights_is_that_weight(tmp_path):
    """Those that are frozen must not move."""
    weights = EpochWeights(tmp_path / "epochs", "last", 3, done=0)
    model = torch.nn.Linear(50, 50)
    for epoch in (1, 2, 3):
        weights.add(model, epoch, 0.5)
    with applied(weights.mean([1, 2, 3]), other := torch.nn.Linear(50, 50)):
        assert all(map(torch.equal, model.parameters(), other.parameters()))


def test_a_damaged_file_is_named(tmp_path):
    weights = EpochWeights(tmp_path / "epochs", "last", 2, done=0)
    take(weights, [0.1, 0.2])
    path = tmp_path / "epochs" / "epoch-0001.safetensors"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(TrainingError, match=r"epoch-0001\.safetensors: damaged .* delete it") as error:
        weights.mean(weights.chosen())
    assert "\n" not in str(error.value)
    path.unlink()
    assert weights.chosen() == [2]
