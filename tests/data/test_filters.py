"""Filters: what convolution is by definition, and what is left of each frequency."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.data.filters import band_limit, convolve

RATE = 16000


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(samples).astype(np.float32) * np.float32(0.1)


def band_db(signal: np.ndarray, low: float, high: float) -> float:
    """Energy between two frequencies."""
    power = np.abs(np.fft.rfft(signal.astype(np.float64))) ** 2
    hertz = np.fft.rfftfreq(len(signal), 1 / RATE)
    return float(10 * np.log10(power[(hertz >= low) & (hertz < high)].sum()))


@given(st.integers(0, 9000), st.integers(1, 5000), st.integers(0, 5000))
def test_convolution_is_convolution(samples, taps, origin):
    origin = min(origin, taps - 1)
    waveform, response = noise(samples), noise(taps, 1)
    heard = convolve(waveform, response, origin)
    assert heard.shape == (samples,) and heard.dtype == np.float32
    if samples:
        size = samples + taps
        spectrum = np.fft.rfft(waveform.astype(np.float64), size) * np.fft.rfft(response.astype(np.float64), size)
        assert np.allclose(heard, np.fft.irfft(spectrum, size)[origin : origin + samples], atol=1e-5)


def test_an_impulse_changes_nothing():
    waveform = noise(30_000)
    assert np.allclose(convolve(waveform, np.array([0, 0, 1, 0], np.float32), 2), waveform, atol=1e-6)


@given(st.floats(500, 7500))
def test_what_is_above_is_lost_and_what_is_below_stays(high):
    speech = noise(RATE)
    limited = band_limit(speech, RATE, 0.0, high)
    assert limited.dtype == np.float32 and len(limited) == len(speech)
    assert band_db(limited, high + 100, 8000) < band_db(speech, high + 100, 8000) - 30
    assert band_db(limited, 0, high - 100) == pytest.approx(band_db(speech, 0, high - 100), abs=0.1)


def test_nothing_moves_in_time():
    speech = band_limit(noise(RATE), RATE, 0.0, 2500.0)
    again = band_limit(speech, RATE, 0.0, 3000.0)
    middle = slice(200, -200)  # at its ends the sound is cut off, which no narrow band can be
    assert np.allclose(again[middle], speech[middle], atol=2e-3)


@given(st.floats(150, 400))
def test_a_telephone_loses_both_ends(low):
    speech = noise(RATE)
    limited = band_limit(speech, RATE, low, 3400.0)
    assert band_db(limited, 0, low - 100) < band_db(speech, 0, low - 100) - 30
    assert band_db(limited, 3500, 8000) < band_db(speech, 3500, 8000) - 30
    assert band_db(limited, low + 100, 3300) == pytest.approx(band_db(speech, low + 100, 3300), abs=0.1)


@pytest.mark.parametrize("high", [8000.0, 20_000.0])
def test_a_band_up_to_half_the_rate_is_everything(high):
    speech = noise(RATE)
    assert np.allclose(band_limit(speech, RATE, 0.0, high), speech, atol=1e-6)


def test_nothing_rings_at_the_ends():
    """A sound in the middle is not heard at the ends, and a tone that fills it all is no louder there."""
    middle = np.zeros(RATE, np.float32)
    middle[RATE // 2] = 0.5
    limited = band_limit(middle, RATE, 0.0, 3000.0)
    quiet = np.abs(np.arange(RATE) - RATE // 2) > 0.011 * RATE
    assert np.abs(limited[quiet]).max() < 1e-6
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE).astype(np.float32)
    assert np.abs(band_limit(tone, RATE, 0.0, 3000.0)).max() < 0.55


@pytest.mark.parametrize("samples", [0, 1, 7])
def test_short_sounds_stay_short(samples):
    assert len(band_limit(noise(samples), RATE, 100.0, 3000.0)) == samples
