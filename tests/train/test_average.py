"""The moving average: by its definition, and out of the way."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr.train.average import MovingAverage


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
    with pytest.raises(ZeroDivisionError), average.applied(model):
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
