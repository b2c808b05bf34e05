"""Augmentation: what was asked for is what is heard, and the same each time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.config import AugmentConfig
from asr.data.augment import (
    add_noise,
    augment_waveform,
    change_gain,
    change_speed,
    coloured_noise,
    draw_masks,
    draw_tone,
)

RATE = 8000


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def level_db(signal: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(signal, dtype=np.float64))))


def tone(seconds: float = 1.0, hertz: float = 440, amplitude: float = 0.1) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def slope(noise: np.ndarray) -> float:
    """How fast power falls with frequency, as an exponent, between 100 and 3,000 Hz."""
    power = np.abs(np.fft.rfft(noise)) ** 2
    hertz = np.fft.rfftfreq(len(noise), 1 / RATE)
    band = (hertz > 100) & (hertz < 3000)
    return -float(np.polyfit(np.log(hertz[band]), np.log(power[band]), 1)[0])


@pytest.mark.parametrize("color", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("snr", [-5.0, 0.0, 20.0, 60.0])
def test_noise_has_the_level_that_was_asked_for(snr, color):
    speech = tone(2.0, amplitude=0.01)
    noisy = add_noise(speech, RATE, snr, color, rng())
    assert noisy.dtype == np.float32 and len(noisy) == len(speech)
    assert level_db(speech) - level_db(noisy - speech) == pytest.approx(snr, abs=0.1)


@pytest.mark.parametrize("color", [0.0, 1.0, 2.0])
def test_noise_has_the_colour_that_was_asked_for(color):
    speech = tone(8.0, amplitude=0.01)
    assert slope(add_noise(speech, RATE, 0.0, color, rng()) - speech) == pytest.approx(color, abs=0.1)


@pytest.mark.parametrize("samples", [5 * RATE, 4 * RATE - 7])
def test_noise_by_itself_has_power_1(samples):
    noise = coloured_noise(samples, RATE, 1.0, rng())
    assert noise.shape == (samples,) and noise.dtype == np.float32
    assert np.mean(noise**2) == pytest.approx(1, rel=0.15)


@pytest.mark.parametrize("length", [0, 1, 2, 100])
def test_silence_stays_silent_and_short_sounds_stay_finite(length):
    assert not add_noise(np.zeros(length, np.float32), RATE, 0.0, 1.0, rng()).any()
    assert np.isfinite(add_noise(np.full(length, 0.1, np.float32), RATE, 0.0, 1.0, rng())).all()
    assert len(change_speed(np.zeros(length, np.float32), 1.1)) == round(length / 1.1)


@given(st.floats(0.5, 2.0), st.integers(100, 20_000))
def test_speed_divides_the_length(speed, length):
    changed = change_speed(np.zeros(length, np.float32), speed)
    assert abs(len(changed) - length / speed) <= 1
    assert changed.dtype == np.float32


@pytest.mark.parametrize("speed", [0.8, 1.25])
def test_speed_moves_the_pitch(speed):
    changed = change_speed(tone(2.0, hertz=500), speed)
    spectrum = np.abs(np.fft.rfft(changed * np.hanning(len(changed))))
    assert np.argmax(spectrum) * RATE / len(changed) == pytest.approx(500 * speed, rel=0.01)
    assert level_db(changed) == pytest.approx(level_db(tone(2.0)), abs=0.2)


def test_full_speed_changes_no_bit():
    waveform = tone()
    assert np.array_equal(change_speed(waveform, 1.0), waveform)


@pytest.mark.parametrize("decibels", [-20.0, 0.0, 6.0])
def test_gain_is_in_decibels(decibels):
    assert level_db(change_gain(tone(), decibels)) == pytest.approx(level_db(tone()) + decibels, abs=0.01)


def test_too_loud_is_clipped():
    loud = change_gain(tone(amplitude=0.9), 20)
    assert loud.min() == -1.0 and loud.max() == 1.0
    noisy = add_noise(tone(amplitude=0.9), RATE, -10, 0, rng())
    assert np.abs(noisy).max() == 1.0


def test_a_waveform_is_a_function_of_the_generator():
    config = AugmentConfig(noise=0.5, gain_db=(-6, 6))
    waveform = tone()
    before = waveform.copy()
    first = [augment_waveform(waveform, RATE, config, rng(seed)) for seed in range(20)]
    again = [augment_waveform(waveform, RATE, config, rng(seed)) for seed in range(20)]
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    assert len({one.tobytes() for one in first}) == 20
    assert np.array_equal(waveform, before)  # it may be in the cache


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (1.0, 200)])
def test_the_share_of_noisy_examples(share, expected):
    config = AugmentConfig(noise=share, gain_db=(0, 0))
    waveform = tone(0.1)
    changed = sum(
        not np.array_equal(augment_waveform(waveform, RATE, config, rng(seed)), waveform) for seed in range(200)
    )
    assert changed == expected


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
