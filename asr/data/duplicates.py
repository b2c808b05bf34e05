"""Whether two audio files are one recording, whatever the format, rate and level they were saved in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

import numpy as np
import numpy.typing as npt

from asr.audio import read_audio
from asr.errors import AudioError

# Two takes of one digit by one speaker correlate at 0.26 in the median and at 0.905 at most (3,482 pairs of FSDD); a
# recording and its copy in Vorbis, MP3, mu-law, or Opus but at its very lowest rate, at 0.97 and more.
_SAME = 0.95
_RATE = 8000  # Hz; enough to tell recordings apart, and every codec carries it
_DELAY = round(0.060 * _RATE)  # samples by which a codec may shift a copy
_BANDS = 256

_Array = npt.NDArray[np.float32]


def same_recordings(
    first: Sequence[str], second: Sequence[str], candidates: npt.NDArray[np.bool_]
) -> Iterator[tuple[int, int]]:
    """Pairs of files that hold the same recording.

    Two are the same if their waveforms correlate at 0.95 or more, at some shift of at most 60 ms. By Cauchy-Schwarz
    that correlation is at most the product of their magnitudes by band, so one matrix product leaves only few pairs to
    be correlated. Where a file is silent the worst is assumed: the same. One that cannot be read is like no other:
    that it cannot be read is found, and said, where it is used.

    Args:
        first: Audio files.
        second: Audio files.
        candidates: (first, second), which pairs to look at; files in no such pair are not read.

    Yields:
        Indices in `first` and `second`.
    """
    rows: list[int] = np.flatnonzero(candidates.any(axis=1)).tolist()
    columns: list[int] = np.flatnonzero(candidates.any(axis=0)).tolist()
    rows, ones = _readable(first, rows)
    columns, others = _readable(second, columns)
    if not rows or not columns:
        return
    size = 1 << (2 * max(map(len, ones + others))).bit_length()  # of a transform that holds both, one after the other
    likely = _magnitudes(ones, size) @ _magnitudes(others, size).T >= _SAME
    for i, j in np.argwhere(likely & candidates[np.ix_(rows, columns)]):
        if _correlation(ones[i], others[j], size) >= _SAME:
            yield rows[i], columns[j]


def _readable(paths: Sequence[str], places: Sequence[int]) -> tuple[list[int], list[_Array]]:
    """The places of the files that can be read, and their waveforms: see `_unit_waveform`."""
    found = []
    for place in places:
        with suppress(AudioError):
            found.append((place, _unit_waveform(paths[place])))
    return [place for place, _ in found], [waveform for _, waveform in found]


def _unit_waveform(path: str) -> _Array:
    """A waveform (samples,) at 8 kHz without offset and of length 1; no samples where it is silent."""
    waveform = read_audio(path, _RATE)
    waveform = waveform - waveform.mean()
    norm = np.linalg.norm(waveform)
    return waveform / norm if norm > 0 else np.zeros(0, np.float32)


def _magnitudes(waveforms: Sequence[_Array], size: int) -> _Array:
    """Root of the energy in each of 256 bands (waveforms, bands), each row of length 1; huge for an empty waveform."""
    band = np.arange(size // 2 + 1) * _BANDS // (size // 2 + 1)
    rows = []
    for waveform in waveforms:
        energy = np.bincount(band, np.abs(np.fft.rfft(waveform, size)) ** 2, _BANDS)
        rows.append(np.sqrt(energy / energy.sum()) if len(waveform) else np.full(_BANDS, 1e6))
    return np.stack(rows).astype(np.float32)


def _correlation(one: _Array, other: _Array, size: int) -> float:
    """Highest correlation of two unit waveforms at a shift within a codec's delay; 1 where one is empty."""
    if not len(one) or not len(other):
        return 1.0
    products = np.fft.irfft(np.fft.rfft(one, size) * np.conj(np.fft.rfft(other, size)), size)
    return float(np.abs(np.concatenate([products[: _DELAY + 1], products[-_DELAY:]])).max())
