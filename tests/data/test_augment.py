"""Augmentation: what was asked for is what is heard, and the same each time."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.config_file import parse_config
from asr.data.augment import Augmenter, change_gain, change_speed
from asr.data.noise import coloured_noise
from asr.data.seeding import generator
from asr.data.sounds import Sounds

RATE = 8000


def level_db(signal: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(signal, dtype=np.float64))))


def tone(seconds: float = 1.0, hertz: float = 440, amplitude: float = 0.1) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


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


@pytest.mark.parametrize("length", [0, 1, 2, 100])
def test_short_sounds_have_their_length_at_another_speed(length):
    assert len(change_speed(np.zeros(length, np.float32), 1.1)) == round(length / 1.1)


def augmenter(views: int = 1, **augment: object) -> Augmenter:
    config = parse_config(
        {
            "features": {"sample_rate": RATE, "mels": 16},
            "augment": augment,
            "train": {"seed": 5, "consistency": 0.1 * (views - 1)},
        }
    )
    return Augmenter(config, Sounds.of(config))


def everything(**augment: object) -> Augmenter:
    """All that there is, made up, not recorded."""
    always = {"noise": 1, "reverb": 1, "band": 1, "band_high_hz": [1000, 3000], "band_low_hz": [0, 300], "tone_db": 2}
    return augmenter(**(always | augment))


@pytest.mark.parametrize("waveform", [tone(1.3), np.zeros(3000, np.float32)], ids=["sound", "silence"])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("views", [1, 2])
def test_without_what_is_newer_every_draw_is_that_of_the_first_version(waveform, share, views):
    """Written out here once more: results were recorded with these draws, in this order."""
    ours = augmenter(views, noise=share, tone_db=2.0, mel_mask_bands=5)
    config = ours.config.augment
    for epoch in range(8):
        drawn = ours.draw(waveform, "an-utterance", epoch)

        rng = generator(5, epoch, "an-utterance")
        expected = waveform
        if rng.random() < config.noise:
            snr_db = rng.uniform(*config.noise_snr_db)
            slope = rng.uniform(*config.noise_color)
            if expected.any():
                noise = coloured_noise(len(expected), RATE, slope, rng)
                level, noise_level = (np.sqrt(np.mean(np.square(x, dtype=np.float64))) for x in (expected, noise))
                scale = np.float32(level * 10 ** (-snr_db / 20) / noise_level)
                expected = np.clip(expected + scale * noise, -1, 1)
        gain = np.float32(10 ** (rng.uniform(*config.gain_db) / 20))
        assert np.array_equal(drawn.apply(waveform, RATE), np.clip(expected * gain, -1, 1))
        frames = len(waveform) // 80 + 1
        longest = int(min(30, 0.2 * frames))
        for view in range(views):
            bands = (np.arange(16) + 0.5) / 16
            curve = rng.standard_normal(4) @ np.cos(np.pi * np.outer(np.arange(1, 5), bands)) * np.sqrt(0.5)
            assert np.array_equal(drawn.views.tones[view], (curve * 2.0 * np.log(10) / 10).astype(np.float32))
            for masks, width, size in ((drawn.views.time_masks, longest, frames), (drawn.views.mel_masks, 5, 16)):
                widths = rng.integers(0, width + 1, 2)
                starts = rng.integers(0, size - widths + 1)
                assert np.array_equal(masks[view], np.stack([starts, starts + widths], axis=-1))


def test_an_example_is_a_function_of_seed_epoch_and_id():
    waveform = tone()
    before = waveform.copy()
    keys = [(id, epoch) for id in ("a", "b") for epoch in range(10)]
    first, again = everything(), everything()
    heard = {key: first.draw(waveform, *key).apply(waveform, RATE) for key in keys}
    assert len({one.tobytes() for one in heard.values()}) == len(keys)
    for key in reversed(keys):  # nothing is left over from one draw to the next
        drawn = again.draw(waveform, *key)
        assert np.array_equal(drawn.apply(waveform, RATE), heard[key])
        assert np.array_equal(drawn.apply(waveform, RATE), heard[key])  # nor anything random in applying it
    assert np.array_equal(waveform, before)  # it may be in the cache


@pytest.mark.parametrize("part", ["noise", "reverb", "band"])
@pytest.mark.parametrize(("share", "low", "high"), [(0.0, 0, 0), (0.5, 70, 130), (1.0, 200, 200)])
def test_the_share_of_examples(part, share, low, high):
    ours = augmenter(**{part: share, "band_high_hz": [1000, 2000]})
    waveform = tone(0.1)
    drawn = [ours.draw(waveform, str(number), 0) for number in range(200)]
    changed = sum((one.noise or one.room or one.band) is not None for one in drawn)
    assert low <= changed <= high
    if share == 1:
        assert {len(one.apply(waveform, RATE)) for one in drawn} == {len(waveform)}


def test_all_is_drawn_within_its_range():
    ours = everything(noise_snr_db=[3, 9], reverb_seconds=[0.3, 0.4], reverb_drr_db=[1, 2], gain_db=[-3, -2])
    waveform = tone(0.5)
    drawn = [ours.draw(waveform, str(number), 0) for number in range(100)]
    assert all(3 <= one.noise.snr_db <= 9 and -3 <= one.gain_db <= -2 for one in drawn)
    assert all(0 <= one.band.low <= 300 and 1000 <= one.band.high <= 3000 for one in drawn)
    assert all(0.3 * RATE <= len(one.room.response) <= 0.41 * RATE for one in drawn)
    echoes = [10 * np.log10(1 / np.sum(np.square(one.room.response[1:], dtype=np.float64))) for one in drawn]
    assert 1 <= min(echoes) <= max(echoes) <= 2


def test_what_was_drawn_is_heard():
    """Noise below the speech that is in the room, and nothing of either above the band."""
    waveform = tone(2.0, hertz=440)
    drawn = everything(gain_db=[0, 0], noise_snr_db=[10, 10], band_high_hz=[1500, 1500]).draw(waveform, "a", 0)
    quiet = replace(drawn, noise=None, band=None).apply(waveform, RATE)
    noisy = replace(drawn, band=None).apply(waveform, RATE)
    assert level_db(quiet) - level_db(noisy - quiet) == pytest.approx(10, abs=0.1)
    power = np.abs(np.fft.rfft(drawn.apply(waveform, RATE))) ** 2
    hertz = np.fft.rfftfreq(len(waveform), 1 / RATE)
    assert power[hertz > 1600].sum() < 1e-4 * power.sum()


def test_what_was_drawn_in_words():
    text = str(everything().draw(tone(), "a", 0))
    for words in (
        "room of RT60 0.",
        "noise of slope ",
        "dB below the speech",
        "band ",
        " Hz",
        "gain ",
        "tone ",
        "masks",
    ):
        assert words in text
    assert "\n" not in text
    bare = augmenter(gain_db=[-3, -3], time_masks=0, mel_masks=0).draw(tone(), "a", 0)
    assert str(bare) == "gain -3.0 dB"
