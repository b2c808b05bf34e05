"""Augmentation of waveforms and features: pure functions of their input and a generator, in numpy.

No torch arithmetic here: this runs in loader workers, where it must give the same bits as in the training process.
"""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

from asr.config import AugmentConfig

Waveform = NDArray[np.float32]
Spans = NDArray[np.int64]

_LOWEST_HZ = 50  # below it noise gets no stronger, or most of its power would lie where nobody hears it


def change_speed(waveform: Waveform, speed: float) -> Waveform:
    """Play a waveform `speed` times as fast; pitch moves with it (Ko et al. 2015, "Audio augmentation")."""
    if speed == 1.0 or len(waveform) == 0:
        return waveform
    changed: Waveform = soxr.resample(waveform, speed, 1.0, quality="LQ")
    return changed


def change_gain(waveform: Waveform, decibels: float) -> Waveform:
    """Change the level; what would leave [-1, 1] is clipped, as a microphone does."""
    louder: Waveform = np.clip(waveform * np.float32(10 ** (decibels / 20)), -1.0, 1.0)
    return louder


def coloured_noise(samples: int, sample_rate: int, slope: float, rng: np.random.Generator) -> Waveform:
    """Stationary noise whose power falls with frequency f as f^-slope: 0 is white, 1 pink, 2 brown.

    Args:
        samples: How many.
        sample_rate: Hz.
        slope: See above.
        rng: Where the noise comes from.

    Returns:
        float32 (samples,), of power 1 on average.
    """
    size = max(4, 1 << (samples - 1).bit_length())  # a power of two: a large prime would take five times as long
    frequency = np.fft.rfftfreq(size, 1 / sample_rate)
    magnitude = np.maximum(frequency, _LOWEST_HZ) ** (-slope / 2)
    magnitude[[0, -1]] = 0  # these two have no phase
    magnitude *= size / np.sqrt(2 * np.sum(magnitude**2))  # Parseval's theorem
    phase = rng.uniform(0, 2 * np.pi, len(frequency))
    noise: Waveform = np.fft.irfft(magnitude * np.exp(1j * phase), size)[:samples].astype(np.float32)
    return noise


def add_noise(waveform: Waveform, sample_rate: int, snr_db: float, slope: float, rng: np.random.Generator) -> Waveform:
    """Add `coloured_noise`; what would leave [-1, 1] is clipped.

    Args:
        waveform: (samples,).
        sample_rate: Hz.
        snr_db: Level of the waveform, silence included, above the noise; a silent waveform stays silent.
        slope: Spectral slope of the noise.
        rng: Where the noise comes from.
    """
    level = float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64)))) if len(waveform) else 0.0
    if level == 0.0:
        return waveform
    noise = coloured_noise(len(waveform), sample_rate, slope, rng)
    scale = level * 10 ** (-snr_db / 20) / np.sqrt(np.mean(np.square(noise, dtype=np.float64)))
    return np.clip(waveform + np.float32(scale) * noise, -1.0, 1.0)


def augment_waveform(waveform: Waveform, sample_rate: int, config: AugmentConfig, rng: np.random.Generator) -> Waveform:
    """Noise and gain as the config draws them; speed is part of the plan, since it decides the length."""
    if rng.random() < config.noise:
        snr_db, slope = rng.uniform(*config.noise_snr_db), rng.uniform(*config.noise_color)
        waveform = add_noise(waveform, sample_rate, snr_db, slope, rng)
    return change_gain(waveform, rng.uniform(*config.gain_db))


def draw_tone(mels: int, spread_db: float, rng: np.random.Generator) -> Waveform:
    """A smooth random frequency response, as of another microphone or room.

    Args:
        mels: Mel bands.
        spread_db: Standard deviation of a band's change.
        rng: Where it comes from.

    Returns:
        (mels,) change of the log-mel features, natural logarithm of power; about zero on average over the bands.
    """
    bands = (np.arange(mels) + 0.5) / mels
    waves = np.cos(np.pi * np.outer(np.arange(1, 5), bands))  # half a wave to two waves over the whole range
    curve = rng.standard_normal(4) @ waves * np.sqrt(2 / 4)
    tone: Waveform = (curve * spread_db * np.log(10) / 10).astype(np.float32)
    return tone


def draw_masks(
    frames: int, mels: int, hop_ms: float, config: AugmentConfig, rng: np.random.Generator
) -> tuple[Spans, Spans]:
    """SpecAugment's masks for one example (Park et al. 2019, section 2).

    Returns:
        Spans in time (time_masks, 2) and over mel bands (mel_masks, 2), each row [start, end).
    """
    longest = min(config.time_mask_ms / hop_ms, config.time_mask_share * frames)
    return (
        _spans(config.time_masks, int(longest), frames, rng),
        _spans(config.mel_masks, min(config.mel_mask_bands, mels), mels, rng),
    )


def _spans(count: int, longest: int, size: int, rng: np.random.Generator) -> Spans:
    widths = rng.integers(0, longest + 1, count)
    starts = rng.integers(0, size - widths + 1)
    return np.stack([starts, starts + widths], axis=-1)
