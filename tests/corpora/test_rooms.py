"""Rooms: speech of the promised level with silence and noise, nothing clipped."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.corpora.rooms import in_a_room

RATE = 16000


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), samples=st.integers(800, 40000), amplitude=st.floats(0.01, 1))
def test_a_room_adds_silence_noise_and_level(seed: int, samples: int, amplitude: float) -> None:
    speech = np.full(samples, amplitude, dtype=np.float32)
    speech[::2] *= -1  # at half the sample rate, where every sample is as loud as any other
    heard = in_a_room(speech, RATE, np.random.default_rng(seed))
    added = (len(heard) - samples) / RATE
    assert heard.dtype == np.float32 and 0.2 - 1e-3 <= added <= 0.8
    assert np.abs(heard).max() <= 1
    level = 10 * np.log10(np.mean(np.sort(heard**2)[-samples:]))
    assert -35.5 < level < -17
    quiet = 10 * np.log10(np.mean(heard[: RATE // 10] ** 2))
    assert quiet < level - 5


def test_loud_speech_is_turned_down_not_clipped() -> None:
    clicks = np.zeros(RATE, dtype=np.float32)
    clicks[[4000, 8000]] = 1.0, -0.5  # so rare that at any level of the whole they would pass full scale
    heard = in_a_room(clicks, RATE, np.random.default_rng(1))
    assert heard.max() == 1
    assert heard.min() == pytest.approx(-0.5, abs=0.01)


def test_the_generator_decides() -> None:
    speech = np.ones(1000, dtype=np.float32)
    once, again, other = (in_a_room(speech, RATE, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert once.tobytes() == again.tobytes() != other.tobytes()
