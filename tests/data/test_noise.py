"""Noise has the level and the colour that were asked for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.data.noise import add_noise, coloured_noise, rms

RATE = 8000


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def tone(seconds: float = 1.0, amplitude: float = 0.01) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * 440 * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def slope(noise: np.ndarray) -> float:
    """How fast power falls with frequency, as an exponent, between 100 and 3,000 Hz."""
    power = np.abs(np.fft.rfft(noise)) ** 2
    hertz = np.fft.rfftfreq(len(noise), 1 / RATE)
    band = (hertz > 100) & (hertz < 3000)
    return -float(np.polyfit(np.log(hertz[band]), np.log(power[band]), 1)[0])


@given(st.floats(-5, 60), st.floats(0, 2), st.floats(1e-3, 10))
def test_the_ratio_is_the_one_asked_for(snr, color, scale):
    """Whatever the noise's own level."""
    speech = tone()
    noisy = add_noise(speech, coloured_noise(len(speech), RATE, color, rng()) * np.float32(scale), snr)
    assert noisy.dtype == np.float32 and len(noisy) == len(speech)
    assert 20 * np.log10(rms(speech) / rms(noisy - speech)) == pytest.approx(snr, abs=0.1)


@pytest.mark.parametrize("color", [0.0, 0.5, 1.0, 2.0])
def test_the_colour_is_the_one_asked_for(color):
    assert slope(coloured_noise(8 * RATE, RATE, color, rng())) == pytest.approx(color, abs=0.1)


@pytest.mark.parametrize("samples", [5 * RATE, 4 * RATE - 7])
def test_coloured_noise_has_power_1(samples):
    noise = coloured_noise(samples, RATE, 1.0, rng())
    assert noise.shape == (samples,) and noise.dtype == np.float32
    assert np.mean(noise**2) == pytest.approx(1, rel=0.15)


@pytest.mark.parametrize("length", [0, 1, 2, 100])
def test_silence_stays_silent_and_short_sounds_stay_finite(length):
    noise, sound = coloured_noise(length, RATE, 1.0, rng()), np.full(length, 0.1, np.float32)
    assert not add_noise(np.zeros(length, np.float32), noise, 0.0).any()
    assert np.isfinite(add_noise(sound, noise, 0.0)).all()
    assert np.array_equal(add_noise(sound, np.zeros(length, np.float32), 0.0), sound)


def test_too_loud_is_clipped():
    assert np.abs(add_noise(tone(amplitude=0.9), coloured_noise(RATE, RATE, 0.0, rng()), -10)).max() == 1.0
