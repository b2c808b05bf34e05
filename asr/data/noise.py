"""Noise, and how it is added to speech at a level below it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Waveform = NDArray[np.float32]

_LOWEST_HZ = 50  # below it noise gets no stronger, or most of its power would lie where nobody hears it


def rms(waveform: Waveform) -> float:
    """Root of the mean square, of all samples; 0 where there are none."""
    return float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64)))) if len(waveform) else 0.0


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


def add_noise(waveform: Waveform, noise: Waveform, snr_db: float) -> Waveform:
    """Add noise; what would leave [-1, 1] is clipped.

    Args:
        waveform: (samples,).
        noise: (samples,), of any level; none is added to silence, and silence adds none.
        snr_db: Level of the waveform, silence included, above the noise.
    """
    level, noise_level = rms(waveform), rms(noise)
    if level == 0.0 or noise_level == 0.0:
        return waveform
    scale = level * 10 ** (-snr_db / 20) / noise_level
    return np.clip(waveform + np.float32(scale) * noise, -1.0, 1.0)
