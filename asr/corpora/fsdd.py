"""The Free Spoken Digit Dataset: single English digits, six speakers, 8 kHz.

From github.com/Jakobovski/free-spoken-digit-dataset, each recording a file {digit}_{speaker}_{take}.wav.
Two protocols. The official split tests on takes 0-4 of every speaker, so its splits share speakers and dataset.yaml
declares that. `hold_out` tests on all takes of one speaker who is nowhere else; averaged over the six it says how
well a stranger is understood.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from asr.corpora.common import OnError, OnProgress, be_silent, durations, few, source_folder, stop, write_corpus
from asr.corpora.download import Archive
from asr.data.manifest import Dataset, Utterance
from asr.errors import CorpusError

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TEST_TAKES = range(5)  # the corpus' own rule: takes 0-4 are its test set
VALID_TAKES = range(5, 10)
_NAME = re.compile(r"(\d)_([a-z]+)_(\d+)\.wav", re.IGNORECASE)


class Take(NamedTuple):
    """What a file name says: digit, speaker, number of the take."""

    digit: int
    speaker: str
    number: int


def prepare(
    source: str | Path,
    out: str | Path,
    hold_out: str | None = None,
    on_error: OnError = stop,
    on_progress: OnProgress = be_silent,
    overwrite: bool = False,
) -> dict[str, list[Utterance]]:
    """Write the manifests of the official split, or of the one that holds out a speaker.

    Args:
        source: The corpus folder, or its `recordings` folder.
        out: Folder for the manifests and dataset.yaml.
        hold_out: A speaker whose takes are all of the test set and in no other split.
        on_error: Called with the error of each unreadable file, which is left out; by default the first is raised.
        on_progress: Called after each recording with the number done and the number of all.
        overwrite: Replace another division that is there already.

    Returns:
        The utterances of train, valid and test.

    Raises:
        CorpusError: The folder is not this corpus, or has no such speaker; or another division is there already.
        AudioError: A file cannot be read, and `on_error` is the default.
    """
    takes = _find_takes(source_folder(source))
    speakers = sorted({take.speaker for take in takes.values()})
    if hold_out is not None and hold_out not in speakers:
        raise CorpusError(f"{source}: no speaker {hold_out!r}; the speakers are {', '.join(speakers)}")
    splits: dict[str, list[Utterance]] = {"train": [], "valid": [], "test": []}
    for path, seconds in durations(list(takes), on_error, on_progress).items():
        take = takes[path]
        utterance = Utterance(path.stem, str(path), WORDS[take.digit], seconds, take.speaker)
        splits[_split(take, hold_out)].append(utterance)
    write_corpus(out, splits, _dataset(hold_out), overwrite)
    return splits


def _find_takes(source: Path) -> dict[Path, Take]:
    """The recordings in the order speaker, digit, take."""
    folder = source / "recordings" if (source / "recordings").is_dir() else source
    paths = [path for path in folder.iterdir() if path.suffix.lower() == ".wav"]
    matches = {path: _NAME.fullmatch(path.name) for path in paths}
    strangers = sorted(path.name for path, match in matches.items() if not match)
    if not paths or strangers:
        found = f"{len(strangers)} files are named otherwise ({few(strangers)})" if paths else "no .wav file"
        raise CorpusError(f"{folder}: not FSDD, whose files are named 7_jackson_32.wav: {found}")
    takes = {path: Take(int(match[1]), match[2].lower(), int(match[3])) for path, match in matches.items() if match}
    return dict(sorted(takes.items(), key=lambda item: (item[1].speaker, item[1].digit, item[1].number)))


def _lacks(folder: Path) -> str:
    """What the release of `ARCHIVE` has and a folder has not: six speakers, ten digits, fifty takes."""
    try:
        takes = _find_takes(folder)
    except CorpusError as error:
        return str(error)
    return "" if len(set(takes.values())) == 3000 else f"{len(takes):,} recordings instead of 3,000"


# A tag, since nobody publishes a checksum, and GitHub may pack the same files into other bytes.
ARCHIVE = Archive(
    "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.tar.gz",
    "free-spoken-digit-dataset-1.0.10",
    ("recordings",),
    check=_lacks,
)


def _split(take: Take, hold_out: str | None) -> str:
    """The split of a take.

    With a speaker held out, takes 0-4 of the others go to training: the test set is that speaker alone, so they are
    no test data there. A model trained so has heard most of the official test set and must not be scored on it.
    """
    if take.speaker == hold_out or (hold_out is None and take.number in TEST_TAKES):
        return "test"
    return "valid" if take.number in VALID_TAKES else "train"


def _dataset(hold_out: str | None) -> Dataset:
    return Dataset(
        name="FSDD" if hold_out is None else f"FSDD without {hold_out}",
        license="CC BY-SA 4.0",
        attribution="Free Spoken Digit Dataset, Zohar Jackson et al., github.com/Jakobovski/free-spoken-digit-dataset",
        shared=("speaker", "text"),
    )
