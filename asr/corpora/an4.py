"""CMU's AN4, also called Census: people spell names, addresses and numbers; 1991, 16 kHz, 948 and 130 utterances.

The layout is CMU's own: etc/an4_train.fileids and .transcription (and the same for the test), each line of the first
the path of a recording below wav/, without suffix, of the second `<s> TEXT </s> (ID)`. The recordings are SPHERE
(an4_sphere.tar.gz), or have no header at all (an4_raw.*.tar.gz, in either byte order): those are written out as FLAC.

The test is CMU's. CMU has no validation set, so whole speakers of its training set are set aside for one: else the test
would have to choose the model, as it did in many a published figure.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from asr.audio import AUDIO_SUFFIXES, Waveform
from asr.corpora.common import (
    OnError,
    OnProgress,
    be_silent,
    durations,
    few,
    read_text,
    shared_between,
    source_folder,
    stop,
)
from asr.corpora.divide import divide
from asr.corpora.download import Archive
from asr.corpora.pieces import FOLDER, Piece, write_pieces_and_corpus
from asr.data.manifest import Dataset, Utterance
from asr.errors import AudioError, CorpusError

LICENSE = "free for any use under the terms of the LICENSE file that comes with it (Carnegie Mellon University)"
ATTRIBUTION = "AN4 (Census) database, Carnegie Mellon University 1991, www.speech.cs.cmu.edu/databases/an4"
# CMU publishes no checksum, and serves without https. This is NVIDIA's copy, for NeMo's tutorials, and the SHA-256 that
# a public script has pinned for it: it tells a damaged copy from a whole one, and vouches for no more.
ARCHIVE = Archive(
    "https://dldata-public.s3.us-east-2.amazonaws.com/an4_sphere.tar.gz",
    "an4",
    ("etc", "wav"),
    "a0525579493735d32b60fb6fa5975dd0eaacde087b0a4eeb7f13b7ef33077b12",
)
UTTERANCES = 948 + 130  # training and test, as CMU published them
SAMPLE_RATE = 16000  # Hz, of the recordings without a header
_RAW = ".raw"
_SUFFIXES = (".sph", _RAW, *AUDIO_SUFFIXES)  # where a recording is there in several formats, the first counts
_TRANSCRIPT = re.compile(r"(?:<s>\s+)?(?P<text>\S.*?)\s+(?:</s>\s+)?\((?P<id>[^()\s]+)\)")
_ENOUGH = 20  # recordings; their samples tell the byte order


class Listed(NamedTuple):
    """An utterance as the two lists give it; `fileid` is the path of the recording below wav/ without suffix."""

    fileid: str
    text: str

    @property
    def id(self) -> str:
        """The name of the recording."""
        return Path(self.fileid).name

    @property
    def speaker(self) -> str:
        """The folder that it lies in."""
        return Path(self.fileid).parent.name


def prepare(
    source: str | Path,
    out: str | Path,
    valid: float = 0.1,
    partial: bool = False,
    on_error: OnError = stop,
    on_progress: OnProgress = be_silent,
    overwrite: bool = False,
) -> dict[str, list[Utterance]]:
    """Write the manifests of CMU's test set, and of its training set without the speakers that validate.

    Those are drawn by a hash of their names, until they have their share of the training utterances. It is utterances
    that count, not seconds: so whoever has the corpus, in whatever format, gets the same three splits.

    Args:
        source: The folder an4/, or the one above it.
        out: Folder for the manifests and dataset.yaml, and for recordings that come without a header.
        valid: Share of the training utterances for validation.
        partial: Take the recordings that are there, where lists name others that are not.
        on_error: Called with the error of each unreadable file, which is left out; by default the first is raised.
        on_progress: Called after each recording with the number done and the number of all.
        overwrite: Replace another division that is there already.

    Returns:
        The utterances of train, valid and test.

    Raises:
        CorpusError: The folder is not this corpus, its lists contradict each other, recordings are missing, or
            another division is there already.
        AudioError: A file cannot be read, and `on_error` is the default.
    """
    if not 0 < valid < 1:
        raise CorpusError(f"valid {valid} must be above 0 and below 1")
    root = corpus_folder(source_folder(source))
    if not (root / "etc" / "an4_train.fileids").is_file():
        raise CorpusError(f"{root}: not AN4: no etc/an4_train.fileids in it")
    train, test = (_read_lists(root, split) for split in ("train", "test"))
    paths = _find_audio(root, [*train, *test], partial)
    validating = _validating([one for one in train if one.fileid in paths], valid)
    lists = {
        "train": [one for one in train if one.speaker not in validating],
        "valid": [one for one in train if one.speaker in validating],
        "test": test,
    }
    raw = [path for path in paths.values() if path.suffix == _RAW]
    seconds = {path: path.stat().st_size / 2 / SAMPLE_RATE for path in raw}
    seconds |= durations([path for path in paths.values() if path not in seconds], on_error, on_progress)
    pieces = {path: Piece(path, Path(out) / FOLDER / f"{path.stem}.flac", 0.0, seconds[path]) for path in raw}
    splits = {
        split: [
            Utterance(
                one.id, str(pieces[path].target if path in pieces else path), one.text, seconds[path], one.speaker
            )
            for one in listed
            if (path := paths.get(one.fileid)) in seconds
        ]
        for split, listed in lists.items()
    }
    name = "AN4" if len(paths) == UTTERANCES else f"AN4, {len(paths):,} of its {UTTERANCES:,} recordings"
    # Short answers ("YES") are in several splits, speakers in none: the test is CMU's own, and is declared as it is.
    dataset = Dataset(name, LICENSE, ATTRIBUTION, ("text",) if "text" in shared_between(splits) else ())
    read = functools.partial(_read_raw, order=_byte_order(raw))
    return write_pieces_and_corpus(out, splits, dataset, list(pieces.values()), read, on_error, on_progress, overwrite)


def corpus_folder(source: Path) -> Path:
    """The folder that holds etc/ and wav/: the source, or an4/ in it."""
    return source / "an4" if (source / "an4").is_dir() else source


def _read_lists(root: Path, split: str) -> list[Listed]:
    """The utterances of etc/an4_SPLIT.fileids, each with its line of etc/an4_SPLIT.transcription.

    Raises:
        CorpusError: One of them is missing, a line is not as it must be, or an id is not once in each.
    """
    files, texts = (root / "etc" / f"an4_{split}.{kind}" for kind in ("fileids", "transcription"))
    fileids = read_text(files).split()
    transcripts: dict[str, str] = {}
    for number, line in enumerate(read_text(texts).split("\n"), start=1):
        match = _TRANSCRIPT.fullmatch(line.strip())
        if not match and line.strip():
            raise CorpusError(f"{texts}:{number}: must be <s> TEXT </s> (ID), not: {line.strip():.60}")
        if match and match["id"] in transcripts:
            raise CorpusError(f"{texts}:{number}: duplicate id {match['id']}")
        if match:
            transcripts[match["id"]] = match["text"]
    ids = [Path(fileid).name for fileid in fileids]
    found = {
        f"only in {files.name}": [id for id in ids if id not in transcripts],
        f"only in {texts.name}": sorted(transcripts.keys() - set(ids)),
        f"twice in {files.name}": [id for id, count in Counter(ids).items() if count > 1],
    }
    if wrong := [f"{len(some):,} {where} ({few(some)})" for where, some in found.items() if some]:
        raise CorpusError(f"{files.parent}: the lists are inconsistent: {', '.join(wrong)}")
    if not fileids:
        raise CorpusError(f"{files}: lists no recordings")
    return [Listed(fileid, transcripts[id]) for fileid, id in zip(fileids, ids, strict=True)]


def _find_audio(root: Path, listed: Sequence[Listed], partial: bool) -> dict[str, Path]:
    """The recordings by their fileid.

    Raises:
        CorpusError: Some are missing and `partial` is not given, or all are.
    """
    paths = {}
    for one in listed:
        stem = root / "wav" / one.fileid
        candidates = (stem.with_name(stem.name + suffix) for suffix in _SUFFIXES)
        if path := next((path for path in candidates if path.is_file()), None):
            paths[one.fileid] = path
    missing = [one.fileid for one in listed if one.fileid not in paths]
    if not paths or (missing and not partial):
        advice = "; use --partial to prepare the others" if paths else ""
        raise CorpusError(
            f"{root / 'wav'}: {len(missing):,} of {len(listed):,} recordings are missing ({few(missing)}){advice}"
        )
    return paths


def _validating(train: Sequence[Listed], share: float) -> set[str]:
    """The speakers of the training set who validate.

    Raises:
        CorpusError: There are fewer than two.
    """
    utterances = Counter(one.speaker for one in train)
    if len(utterances) < 2:
        raise CorpusError(
            f"{len(utterances)} speakers in the training set are too few to set some aside for validation"
        )
    owner = divide(utterances, {"valid": share}, seed=0)
    return {speaker for speaker, split in owner.items() if split == "valid"}


def _byte_order(paths: Sequence[Path]) -> str:
    """The byte order of recordings without a header, "<" or ">", in which neighbouring samples differ less.

    In the wrong one the low byte, which is noise, becomes the high one.
    """
    data = [path.read_bytes() for path in paths[:_ENOUGH]]
    steps = {order: sum(int(np.abs(np.diff(_samples(some, order))).sum()) for some in data) for order in "<>"}
    return min(steps, key=lambda order: steps[order])


def _samples(data: bytes, order: str) -> npt.NDArray[np.int32]:
    """The samples (samples,) of 16 bits; half a sample at the end is not counted."""
    return np.frombuffer(data[: len(data) // 2 * 2], dtype=f"{order}i2").astype(np.int32)


def _read_raw(path: Path, order: str) -> tuple[Waveform, int]:
    """The waveform of a recording without a header, and its rate."""
    data = path.read_bytes()
    if len(data) % 2:
        raise AudioError(f"{path}: {len(data):,} bytes are not a whole number of 16-bit samples")
    return (_samples(data, order) / 32768).astype(np.float32), SAMPLE_RATE
