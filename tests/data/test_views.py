"""Tones and masks: within their bounds, and of the sizes that were asked for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.config import AugmentConfig
from asr.data.views import draw_masks, draw_tone, draw_views, plain_view, stacked


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(st.integers(1, 3000), st.integers(8, 128), st.integers(0, 5), st.floats(0, 1000), st.floats(0, 1))
def test_masks_lie_within_their_bounds(frames, mels, count, longest_ms, share):
    config = AugmentConfig(
        time_masks=count, mel_masks=count, time_mask_ms=longest_ms, time_mask_share=share, mel_mask_bands=20
    )
    over_time, over_mels = draw_masks(frames, mels, 10.0, config, rng(frames))
    assert over_time.shape == over_mels.shape == (count, 2)
    assert over_time.dtype == over_mels.dtype == np.int64
    for spans, size, longest in (
        (over_time, frames, min(longest_ms / 10, share * frames)),
        (over_mels, mels, min(20, mels)),
    ):
        assert (spans >= 0).all() and (spans <= size).all()
        widths = spans[:, 1] - spans[:, 0]
        assert (widths >= 0).all() and (widths <= longest).all()


def test_masks_of_every_width_and_place_occur():
    config = AugmentConfig(time_masks=500, time_mask_ms=50, time_mask_share=1.0, mel_masks=500, mel_mask_bands=3)
    over_time, over_mels = draw_masks(20, 10, 10.0, config, rng())
    assert {int(width) for width in np.diff(over_time).flat} == set(range(6))
    assert {int(width) for width in np.diff(over_mels).flat} == set(range(4))
    assert over_time.min() == 0 and over_time.max() == 20


def test_tone_has_the_asked_spread_and_no_level():
    tones = np.stack([draw_tone(64, 6.0, rng(seed)) for seed in range(2000)]) * 10 / np.log(10)
    assert tones.std() == pytest.approx(6.0, rel=0.05)
    assert np.abs(tones.mean(axis=1)).max() < 0.5  # the level is the gain's business
    assert np.abs(np.diff(tones, axis=1)).max() < 6.0  # smooth: neighbours differ by less than the spread
    assert not draw_tone(64, 0.0, rng()).any()


def test_views_differ_and_are_stacked():
    config = AugmentConfig(tone_db=3, time_masks=2, mel_masks=1)
    views = draw_views(2, 200, 16, 10.0, config, rng())
    assert views.tones.shape == (2, 16)
    assert views.time_masks.shape == (2, 2, 2) and views.mel_masks.shape == (2, 1, 2)
    assert not np.array_equal(views.tones[0], views.tones[1])


def test_views_in_words():
    assert str(plain_view(8)) == ""
    views = plain_view(2)._replace(
        tones=np.full((1, 2), np.log(10) / 5, np.float32),
        time_masks=np.array([[[40, 52], [7, 7], [3, 9]]]),
        mel_masks=np.array([[[0, 2]]]),
    )
    assert str(views) == "tone 2.0 dB; masks over frames 3-9, 40-52; masks over mel bands 0-2"


def test_long_examples_may_get_more_masks():
    config = AugmentConfig(time_masks=2, time_mask_every=1.5)
    counts = [
        len(draw_masks(frames, 80, 10.0, config, np.random.default_rng(0))[0]) for frames in (100, 449, 450, 1600)
    ]
    assert counts == [2, 2, 3, 10]


def test_masks_of_several_examples_stand_in_one_array():
    """Where one has fewer, those that fill up cover nothing."""
    few, many = np.array([[[3, 9]], [[1, 2]]]), np.array([[[0, 4], [5, 6]], [[7, 9], [2, 3]]])
    both = stacked([few, many])
    assert both.shape == (2, 2, 2, 2)
    assert np.array_equal(both[1], many)
    assert both[0].tolist() == [[[3, 9], [0, 0]], [[1, 2], [0, 0]]]
    tones = np.ones((1, 5), np.float32)
    assert stacked([tones, 2 * tones]).shape == (2, 1, 5)
