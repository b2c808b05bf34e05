"""Fingerprints of recordings: few enough bytes to travel in a model file, enough to know a recording again.

A model remembers what it was trained, validated and tuned on, so that an evaluation can tell whether it has heard a
recording before, under whatever name and in whatever format. Nothing of the recording can be made from its print: a
speaker and an id are five bytes of a hash, and the sound is 120 signs.

The sound's signs are those of Haitsma & Kalker (2002, section 4.2): whether energy grows in time, from one segment to
the next, more in a band of frequencies than in the band above. Theirs are taken every 12 ms; here a recording is cut
into 16 parts of equal loudness, so that what a codec adds at its ends moves nothing, and a recording has one print.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from asr.data.manifest import Utterance

Waveform = npt.NDArray[np.float32]

_PARTS, _BANDS = 16, 9
_SIGNS = (_PARTS - 1) * (_BANDS - 1)
_LOW, _HIGH = 250.0, 3400.0  # Hz: what a telephone carries, and so every copy
_EDGES = np.geomspace(_LOW, _HIGH, _BANDS + 1)
_WINDOW = 0.032  # seconds
_HOPS = 0.016, 0.028  # seconds; the shortest of them that gives no more than enough frames
_ENOUGH = 256  # frames, 16 in each part: with more, no copy was known again that was not with these
_AT_A_TIME = 128  # frames
_LOUDNESS = 0.3  # exponent of power (Stevens 1957)
_FLOOR = 1e-3  # of the mean energy; below it, a codec decides
# Share of signs that may differ, from so many hundredths of a second on, and in shorter recordings. Of 291 sentences of
# LibriSpeech, copies by MP3, Vorbis, Opus and mu-law at their lowest qualities differed by 0.16 at most, different ones
# by 0.3 at least; sentences that differ in a word, by two voices of one synthesiser, by 0.18. Single digits have less
# to tell them apart: with 0.16 two of 300 new ones were taken for some of 2,400, with 0.14 none, and 58 % (Opus) to 80
# (Vorbis) percent of copies were found; 0.13 leaves some room.
_SENTENCE = 100
_SAME, _SAME_SHORT = 0.16, 0.13
_SAME_NAMED = 0.3  # of two with the same id and length: many a corpus calls its recordings 0001, 0002
_PADDING = 25  # hundredths of a second that a codec may add
_ROUNDING = 3  # hundredths of a second between two copies of one id
_HASH = 5  # bytes

PRINT = np.dtype(
    [
        ("id", f"V{_HASH}"),
        ("duration", "<u2"),  # hundredths of a second
        ("sound", "u1", (_SIGNS // 8,)),
    ]
)
Prints = npt.NDArray[Any]  # (utterances,) PRINT


def make_print(id: str, waveform: Waveform, sample_rate: int) -> Prints:
    """The print of one recording, (1,) PRINT; one too short or too quiet to tell from others has no sound, all zeros.

    Args:
        id: Of the utterance.
        waveform: (samples,).
        sample_rate: In Hz.
    """
    made = np.zeros(1, PRINT)
    made["id"] = np.void(_hash(id))
    made["duration"] = min(round(100 * len(waveform) / sample_rate), 65535)
    if (energies := _energies(waveform, sample_rate)) is not None:
        logs = np.log(energies + _FLOOR * energies.mean())
        made["sound"] = np.packbits(np.diff(np.diff(logs, axis=0), axis=1) > 0)
    return made


def _energies(waveform: Waveform, sample_rate: int) -> npt.NDArray[np.float64] | None:
    """(parts, bands) energies, the parts equally loud; None where there are too few frames, or nothing in them."""
    window = round(_WINDOW * sample_rate)
    hop = round(min(max(_HOPS[0] * sample_rate, len(waveform) / _ENOUGH), _HOPS[1] * sample_rate))
    count = (len(waveform) - window) // hop + 1
    if count < _PARTS or sample_rate < 2 * _HIGH:
        return None
    frames = np.lib.stride_tricks.sliding_window_view(waveform, window)[::hop]
    taper = np.hanning(window)  # float64, in which NumPy's FFT takes a fifth of the time that it takes in float32
    edges = np.searchsorted(np.arange(window // 2 + 1) * sample_rate / window, _EDGES)
    # Some at a time, so that an hour takes no gigabyte, and a second stays in the processor's cache.
    parts = [_band_energies(frames[i : i + _AT_A_TIME] * taper, edges) for i in range(0, count, _AT_A_TIME)]
    bands = np.concatenate(parts)
    loudness = np.maximum(bands.sum(1) - _FLOOR * bands.sum(1).max(), 0) ** _LOUDNESS
    if not loudness.any():
        return None
    so_far = np.concatenate([[0.0], np.cumsum(loudness / loudness.sum())])
    borders = np.interp(np.linspace(0, 1, _PARTS + 1), so_far, np.arange(count + 1))
    sums = np.concatenate([np.zeros((1, _BANDS)), np.cumsum(bands, axis=0)])
    at_borders = [np.interp(borders, np.arange(count + 1), sums[:, band]) for band in range(_BANDS)]
    return np.diff(np.stack(at_borders, axis=1), axis=0)


def _band_energies(frames: npt.NDArray[np.float64], edges: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """(frames, window) samples to (frames, bands) between the `edges`, places in a spectrum."""
    heard = np.fft.rfft(frames)[:, edges[0] : edges[-1]]
    energies: npt.NDArray[np.float64] = np.add.reduceat(heard.real**2 + heard.imag**2, edges[:-1] - edges[0], axis=1)
    return energies


def known(prints: Prints, heard: Prints) -> npt.NDArray[np.bool_]:
    """Which recordings have been heard, (utterances,): the same sound, or the same id and duration and no other sound.

    Args:
        prints: (utterances,) of an evaluation.
        heard: (recordings,) that a model remembers.
    """
    heard = heard[np.argsort(heard["duration"], kind="stable")]
    durations = heard["duration"].astype(np.int64)
    (left, right), wanted = _halves(heard), _halves(prints)
    silent = (left | right) == 0
    found = np.zeros(len(prints), bool)
    for place, one in enumerate(prints):
        duration = int(one["duration"])
        first, last = np.searchsorted(durations, [duration - _PADDING, duration + _PADDING + 1])
        likely = slice(first, last)
        named = np.abs(durations[likely] - duration) <= _ROUNDING
        named &= heard["id"][likely] == one["id"]
        if not wanted[:, place].any():
            found[place] = named.any()
            continue
        differing = np.bitwise_count(left[likely] ^ wanted[0, place])
        differing += np.bitwise_count(right[likely] ^ wanted[1, place])
        limit = _SAME if duration >= _SENTENCE else _SAME_SHORT
        alike = (differing <= limit * _SIGNS) & ~silent[likely]
        found[place] = (alike | (named & (silent[likely] | (differing <= _SAME_NAMED * _SIGNS)))).any()
    return found


def _halves(prints: Prints) -> npt.NDArray[np.uint64]:
    """The sounds of prints, (2, prints): to be compared by two operations instead of fifteen."""
    padded = np.zeros((len(prints), 16), np.uint8)
    padded[:, : _SIGNS // 8] = prints["sound"]
    return np.ascontiguousarray(padded.view(np.uint64).T)


def speaker_hashes(dataset: str, utterances: Iterable[Utterance]) -> set[bytes]:
    """The speakers of a data set; those of another are others, though they be called alike."""
    names = {utterance.speaker for utterance in utterances if utterance.speaker is not None}
    return {_hash(f"{dataset}\t{name}") for name in names}


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:_HASH]


def to_json(prints: Prints, speakers: Iterable[bytes]) -> dict[str, str]:
    """For a model file: `{"recordings", "speakers"}`, in base64, each once, in an order that says nothing."""
    rows = sorted({bytes(one) for one in prints})
    return {
        "recordings": base64.b64encode(b"".join(rows)).decode(),
        "speakers": base64.b64encode(b"".join(sorted(speakers))).decode(),
    }


def from_json(record: Mapping[str, str]) -> tuple[Prints, set[bytes]]:
    """The inverse of `to_json`.

    Raises:
        ValueError: It is none of ours.
    """
    rows, hashes = (base64.b64decode(record.get(key, ""), validate=True) for key in ("recordings", "speakers"))
    if len(rows) % PRINT.itemsize or len(hashes) % _HASH:
        raise ValueError("fingerprints are truncated")
    return np.frombuffer(rows, PRINT), {hashes[i : i + _HASH] for i in range(0, len(hashes), _HASH)}
