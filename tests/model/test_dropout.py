"""Dropout: how much is dropped, which, and what becomes of the rest."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr.model.dropout import Dropout


def dropped(share, shape=(50, 7, 401), seed=1, dtype=torch.float32):
    torch.manual_seed(seed)
    return Dropout(share)(torch.ones(shape, dtype=dtype))


@pytest.mark.parametrize("share", [0.05, 0.1, 0.5, 0.9])
def test_that_share_is_dropped_and_the_mean_stays(share):
    values = dropped(share)
    deviation = (share * (1 - share) / values.numel()) ** 0.5
    assert abs((values == 0).double().mean() - share) < 5 * deviation + 2**-16
    assert values.unique().tolist() == pytest.approx([0.0, 1 / (1 - share)], rel=2e-4)
    assert abs(values.mean() - 1) < 5 * deviation / (1 - share) + 1e-3


def test_each_of_the_four_values_of_a_draw_is_dropped_as_often():
    lost = (dropped(0.3, (40_000, 4)) == 0).double()
    deviation = (0.3 * 0.7 / 40_000) ** 0.5
    assert ((lost.mean(0) - 0.3).abs() < 5 * deviation).all()
    assert (lost.T.cov() - torch.eye(4) * 0.21).abs().max() < 0.01  # nor does one tell of another


def test_follows_from_the_seed_and_from_nothing_else():
    assert dropped(0.5).equal(dropped(0.5))
    assert not dropped(0.5).equal(dropped(0.5, seed=2))


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_recognition_drops_nothing(share):
    values = torch.randn(3, 5)
    assert Dropout(share).eval()(values).equal(values)


@given(
    st.lists(st.integers(0, 5), max_size=3), st.floats(0, 0.999999), st.sampled_from([torch.float32, torch.bfloat16])
)
def test_takes_any_shape_share_and_type(shape, share, dtype):
    values = dropped(share, shape, dtype=dtype)
    assert values.shape == torch.Size(shape) and values.dtype == dtype
    assert values.isfinite().all()


def test_what_was_dropped_gets_no_gradient():
    values = torch.ones(1000, requires_grad=True)
    torch.manual_seed(1)
    heard = Dropout(0.25)(values)
    heard.sum().backward()
    assert values.grad.equal(heard.detach())
