"""Rooms: as reverberant as was asked for, and speech in them as long, as loud and as early as outside."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.data.noise import rms
from asr.data.reverb import Room, recorded_room, reverberate, simulated_room

RATE = 16000


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def decay_time(response: np.ndarray) -> float:
    """RT60 in seconds by Schroeder's backward integration, from the fall between -5 and -25 dB (T20, ISO 3382)."""
    energy = np.cumsum(np.square(response[::-1], dtype=np.float64))[::-1]
    decibels = 10 * np.log10(energy / energy[0])
    fall = np.flatnonzero((decibels < -5) & (decibels > -25))
    return -60 / (float(np.polyfit(fall, decibels[fall], 1)[0]) * RATE)


@given(st.floats(0.1, 2.0), st.floats(-5, 20), st.integers(0, 100))
def test_a_simulated_room_is_as_drawn(seconds, drr_db, seed):
    response = simulated_room(seconds, drr_db, RATE, rng(seed)).response
    assert response.dtype == np.float32
    direct, echo = response[:40], response[40:]  # 2.5 ms
    assert direct[0] == 1.0 and not direct[1:].any()
    assert 10 * np.log10(1 / np.sum(echo.astype(np.float64) ** 2)) == pytest.approx(drr_db, abs=0.01)
    assert decay_time(echo) == pytest.approx(seconds, rel=0.15)


@given(st.floats(0.1, 1.0), st.integers(1, 20_000))
def test_speech_keeps_its_length_and_level(seconds, samples):
    speech = (0.1 * rng(1).standard_normal(samples)).astype(np.float32)
    heard = reverberate(speech, simulated_room(seconds, 3.0, RATE, rng()))
    assert heard.shape == (samples,) and heard.dtype == np.float32
    assert rms(heard) == pytest.approx(rms(speech), rel=1e-4)


@pytest.mark.parametrize("before", [0, 1, 500])
def test_the_direct_sound_stays_where_it_was(before):
    """Also through a recorded response that begins with silence and a little sound before its peak."""
    click = np.zeros(8000, np.float32)
    click[3000] = 0.5
    simulated = simulated_room(0.4, 6.0, RATE, rng()).response
    early = (0.01 * rng(2).standard_normal(before)).astype(np.float32)
    heard = reverberate(click, recorded_room("hall.wav", np.concatenate([early, simulated])))
    assert int(np.argmax(np.abs(heard))) == 3000
    assert np.abs(heard[: 3000 - before]).max() < 1e-6  # nothing answers before it is asked
    assert rms(heard[3040:]) > 0


def test_a_room_without_echo_changes_nothing():
    speech = (0.1 * rng().standard_normal(5000)).astype(np.float32)
    assert np.allclose(reverberate(speech, Room("outdoors", np.ones(1, np.float32))), speech, atol=1e-6)


def test_silence_in_a_room_and_a_silent_room():
    speech = (0.1 * rng().standard_normal(5000)).astype(np.float32)
    assert np.array_equal(reverberate(speech, recorded_room("none", np.zeros(100, np.float32))), speech)
    assert not reverberate(np.zeros(5000, np.float32), simulated_room(0.4, 6.0, RATE, rng())).any()
    assert len(reverberate(np.zeros(0, np.float32), simulated_room(0.4, 6.0, RATE, rng()))) == 0
