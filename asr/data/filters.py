"""Filters over whole waveforms, that keep their length and move nothing in time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Waveform = NDArray[np.float32]

_SMALLEST_FFT = 4096
_HALF_KERNEL_SECONDS = 0.010  # the band's edges are as steep as its kernel is long: this makes 150 Hz of them


def convolve(waveform: Waveform, response: Waveform, origin: int) -> Waveform:
    """A waveform through a linear filter, by overlapping Fourier transforms (Oppenheim & Schafer, "overlap-add").

    Args:
        waveform: (samples,); before and after it is silence.
        response: The filter's answer to an impulse, (taps,).
        origin: The tap that stands for the moment of the impulse; those before it are answers in advance.

    Returns:
        float32 (samples,).
    """
    taps, samples = len(response), len(waveform)
    size = max(_SMALLEST_FFT, 1 << (2 * taps - 1).bit_length())
    step = size - taps + 1  # samples in a block, so that its answer fits in the transform
    count = -(-samples // step)
    blocks = np.pad(waveform, (0, count * step - samples)).reshape(count, step)
    answers = np.fft.irfft(np.fft.rfft(blocks, size) * np.fft.rfft(response, size), size)
    heard = np.zeros(count * step + size, np.float32)
    for number, answer in enumerate(answers):
        heard[number * step : number * step + size] += answer.astype(np.float32)
    return heard[origin : origin + samples]


def band_limit(waveform: Waveform, sample_rate: int, low_hz: float, high_hz: float) -> Waveform:
    """Keep a band of frequencies, as a telephone or a cheap microphone does.

    A sinc under a Hann window (Oppenheim & Schafer, filter design by windowing): within 75 Hz of an edge the level
    falls, beyond that it is lower by 40 dB and more.

    Args:
        waveform: (samples,).
        sample_rate: Hz.
        low_hz: What is below is lost; 0: nothing.
        high_hz: What is above is lost; half the sample rate or more: nothing.
    """
    half = round(_HALF_KERNEL_SECONDS * sample_rate)
    taps = np.arange(-half, half + 1)

    def low_pass(hertz: float) -> NDArray[np.float64]:
        width = min(2 * hertz / sample_rate, 1.0)
        kernel: NDArray[np.float64] = width * np.sinc(width * taps)
        return kernel

    kernel = (low_pass(high_hz) - low_pass(low_hz)) * np.hanning(2 * half + 3)[1:-1]
    return convolve(waveform, kernel.astype(np.float32), half)
