"""Recordings that must be written before a manifest can name them: stretches of longer ones, and headerless files.

A manifest's utterance is a whole file that any program can open. What a corpus gives as "from 3.2 to 7.9 s of that
call", or in a format that only the corpus itself explains, is therefore written out once, as FLAC beside the manifests.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from asr.atomic import replacing
from asr.audio import Waveform, probe, read_audio, read_stretch, write_flac
from asr.corpora.common import OnError, OnProgress, be_silent, refuse_division, stop, write_corpus
from asr.data.manifest import Dataset, Utterance
from asr.errors import AudioError, CorpusError

FOLDER = "pieces"

_SLACK = 0.05  # seconds; a stretch that leaves out no more is the whole: lists round, and MP3 lengths differ by decoder
_OVERSHOOT = 0.5  # seconds by which a stretch may end after its recording does, as in Kaldi; more is a mistake


_SEEKABLE = (".wav", ".flac", ".aif", ".aiff", ".au", ".sph")  # to the sample; an hour at 48 kHz is 1.4 GB decoded

Reader = Callable[[Path], tuple[Waveform, int]]  # of a recording: waveform (samples,), rate in Hz


class Piece(NamedTuple):
    """A stretch of a recording, in seconds, and the file that it becomes."""

    source: Path
    target: Path
    start: float
    end: float


def stretch(start: float, end: float | None, held: float) -> tuple[float, float]:
    """Where a stretch begins and ends in a recording of `held` seconds; (0, held) where it is all of the recording.

    Args:
        start: Its beginning as a list says it, in seconds.
        end: Its end; None: that of the recording.
        held: Duration of the recording.

    Raises:
        CorpusError: It is empty, or outside the recording.
    """
    end = held if end is None else end
    if not 0 <= start < min(end, held):
        raise CorpusError(f"segment from {start:g} to {end:g} s is empty or outside the recording ({held:.2f} s)")
    if end > held + _OVERSHOOT:
        raise CorpusError(f"segment ends at {end:g} s, after the end of the recording ({held:.2f} s)")
    return (0.0, held) if start + max(held - end, 0.0) <= _SLACK else (start, min(end, held))


def write_pieces(
    pieces: Sequence[Piece],
    read: Reader | None = None,
    on_error: OnError = stop,
    on_progress: OnProgress = be_silent,
) -> set[Path]:
    """Write pieces of recordings as FLAC, 16 bit and mono, at the rate of the recording.

    As many recordings at a time as there are cores. Of the formats that can be read from their middle, no more than a
    piece is in memory; others are decoded once, whole, however many pieces are cut from them.

    Args:
        pieces: What to write, into one folder or several.
        read: Reads a recording; by default as an audio file.
        on_error: Called with the error of each recording that cannot be read, whose pieces are left out.
        on_progress: Called after each recording with the number of pieces done and of all.

    Returns:
        The files that were written.

    Raises:
        CorpusError: A recording lies where its pieces are to be written.
    """
    folders = {piece.target.parent.resolve() for piece in pieces}
    by_source: dict[Path, list[Piece]] = defaultdict(list)
    for piece in pieces:
        if piece.source.resolve().parent in folders:
            raise CorpusError(f"{piece.source}: is in the output folder; choose another --out")
        by_source[piece.source].append(piece)
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)

    def cut(source: Path) -> AudioError | None:
        try:
            if not read and source.suffix.lower() in _SEEKABLE:
                rate = probe(source).sample_rate
                for piece in by_source[source]:
                    first, end = _span(piece, rate)
                    # Half a sample later, so that no rounding of seconds comes before the first.
                    part = read_stretch(source, (first + 0.5) / rate, (end - first) / rate, rate)
                    _write(piece, part[: end - first], rate)
            else:
                waveform, rate = (read or _read)(source)
                for piece in by_source[source]:
                    _write(piece, waveform[slice(*_span(piece, rate))], rate)
        except AudioError as error:
            return error
        return None

    written: set[Path] = set()
    done = 0
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        for source, error in zip(by_source, pool.map(cut, by_source), strict=True):
            done += len(by_source[source])
            on_progress(done, len(pieces))
            if error:
                on_error(error)
            else:
                written |= {piece.target for piece in by_source[source]}
    return written


def write_pieces_and_corpus(
    out: str | Path,
    splits: Mapping[str, Sequence[Utterance]],
    dataset: Dataset,
    pieces: Sequence[Piece],
    read: Reader | None = None,
    on_error: OnError = stop,
    on_progress: OnProgress = be_silent,
    overwrite: bool = False,
) -> dict[str, list[Utterance]]:
    """Write the pieces that some utterances are, then the manifests; see `write_pieces` and `write_corpus`.

    Returns:
        The utterances whose audio is there.

    Raises:
        CorpusError: As both; no piece is written where the division is refused.
    """
    refuse_division(out, splits, dataset, overwrite)
    lost = {piece.target for piece in pieces} - write_pieces(pieces, read, on_error, on_progress)
    written = {name: [one for one in some if Path(one.audio) not in lost] for name, some in splits.items()}
    write_corpus(out, written, dataset, overwrite)
    return written


def _read(path: Path) -> tuple[Waveform, int]:
    """An audio file as it is: its channels averaged, its own rate."""
    rate = probe(path).sample_rate
    return read_audio(path, rate), rate


def _span(piece: Piece, rate: int) -> tuple[int, int]:
    """The samples [first, end) of a piece."""
    return round(piece.start * rate), round(piece.end * rate)


def _write(piece: Piece, samples: Waveform, rate: int) -> None:
    """Write one piece, whole or not at all: manifests of before may name a file that is there."""
    if not len(samples):
        raise AudioError(f"{piece.source}: no samples from {piece.start:g} to {piece.end:g} s")
    with replacing(piece.target) as aside:
        write_flac(aside, samples, rate)
