"""What splits have in common that they should not: a test utterance seen in training makes its score a lie.

The same recording in two splits is always an error, whether it shows by its id, by its file, or by its sound (a copy in
another format). The same speakers or texts are an error unless dataset.yaml declares them, as
`shared: [speaker, text]`; then evaluations say so in their reports. Of splits of different data sets only recordings
are compared: two corpora may both call a speaker 0001, and both hold the word seven.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import combinations, product
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from asr.archive import open_binary, size
from asr.config import TextConfig
from asr.data.duplicates import same_recordings
from asr.data.manifest import Dataset, Utterance, read_dataset
from asr.errors import AudioError, ManifestError
from asr.text import Normalizer

Kind = Literal["id", "audio", "recording", "copy", "speaker", "text"]

SAME_DURATION = 0.030  # seconds

_NOUNS: dict[Kind, tuple[str, str]] = {
    "id": ("utterance id", "utterance ids"),
    "audio": ("audio file", "audio files"),
    "recording": ("recording", "recordings (same text, duration and sound)"),
    "copy": ("recording", "recordings (same duration and sound, and same text or id)"),
    "speaker": ("speaker", "speakers"),
    "text": ("text", "texts"),
}


@dataclass(frozen=True)
class Overlap:
    """Something that two splits share.

    Attributes:
        kind: What is shared. `recording` is the same text, duration (within 30 ms) and sound in different files;
            `copy` too, or the same id instead of the text, of two data sets.
        splits: Names of the two.
        values: The shared ids, speakers or texts; else pairs of utterance ids as "a = b". Sorted.
        declared: Whether dataset.yaml says that it is on purpose.
    """

    kind: Kind
    splits: tuple[str, str]
    values: tuple[str, ...]
    declared: bool = False

    def __str__(self) -> str:
        """One line: the two splits, how much they share, and the first three examples."""
        noun = _NOUNS[self.kind][len(self.values) > 1]
        examples = "; ".join(f"{value:.60}" for value in self.values[:3]) + ("; ..." if len(self.values) > 3 else "")
        line = f"{self.splits[0]} and {self.splits[1]} share {len(self.values):,} {noun}: {examples}"
        return f"{line} (declared in dataset.yaml)" if self.declared else line


def overlaps(
    splits: Mapping[str, Sequence[Utterance]], dataset: Dataset, normalize: Callable[[str], str] | None = None
) -> list[Overlap]:
    """Everything that any two splits share, declared or not.

    Args:
        splits: Utterances by split name.
        dataset: Says what is shared on purpose.
        normalize: Texts are the same if they are after this; the default is the basic normaliser.
    """
    normalize = normalize or Normalizer.from_config(TextConfig())
    texts = {name: _by_text(utterances, normalize) for name, utterances in splits.items()}
    found = []
    for first, second in combinations(splits, 2):
        files = _same_files(splits[first], splits[second])
        shared: dict[Kind, set[str]] = {
            "id": {item.id for item in splits[first]} & {item.id for item in splits[second]},
            "audio": {f"{one} = {other}" for one, other in files},
            "recording": {f"{one} = {other}" for one, other in _same_recordings(texts[first], texts[second]) - files},
            "speaker": _speakers(splits[first]) & _speakers(splits[second]),
            "text": texts[first].keys() & texts[second].keys(),
        }
        for kind, values in shared.items():
            if values:
                found.append(Overlap(kind, (first, second), tuple(sorted(values)), kind in dataset.shared))
    return found


def refuse_overlaps(splits: Mapping[str, Sequence[Utterance]], dataset: Dataset) -> list[Overlap]:
    """Raise if splits share what dataset.yaml does not declare.

    Returns:
        The overlaps that it does declare, for reports.

    Raises:
        ManifestError: All undeclared overlaps, in one line.
    """
    found = overlaps(splits, dataset)
    undeclared = [overlap for overlap in found if not overlap.declared]
    if not undeclared:
        return found
    kinds = [kind for kind in ("speaker", "text") if any(overlap.kind == kind for overlap in undeclared)]
    wanted = ", ".join([*dataset.shared, *(kind for kind in kinds if kind not in dataset.shared)])
    hint = f" (if this is intended, declare `shared: [{wanted}]` in dataset.yaml)" if kinds else ""
    raise ManifestError("; ".join(map(str, undeclared)) + hint)


def refuse_copies(folders: Sequence[Mapping[str, Sequence[Utterance]]]) -> None:
    """Raise if splits of different data sets hold the same recordings, which no dataset.yaml can declare.

    Args:
        folders: The splits of each data set, by name.

    Raises:
        ManifestError: All that they share, in one line.
    """
    normalize = Normalizer.from_config(TextConfig())
    found = [
        overlap
        for one, other in combinations(folders, 2)
        for first, second in product(one.items(), other.items())
        for overlap in _copies((first[0], second[0]), first[1], second[1], normalize)
    ]
    if found:
        raise ManifestError("; ".join(map(str, found)))


def _copies(
    names: tuple[str, str], first: Sequence[Utterance], second: Sequence[Utterance], normalize: Callable[[str], str]
) -> Iterator[Overlap]:
    """The recordings that two splits of different data sets share; what their speakers are called says nothing."""
    ones, others = ([replace(item, speaker=None) for item in utterances] for utterances in (first, second))
    files = _same_files(ones, others)
    alike = _same_recordings(_by_text(ones, normalize), _by_text(others, normalize))
    alike |= _same_recordings({item.id: [item] for item in ones}, {item.id: [item] for item in others})
    found: dict[Kind, set[tuple[str, str]]] = {"audio": files, "copy": alike - files}
    for kind, pairs in found.items():
        if pairs:
            yield Overlap(kind, names, tuple(sorted(f"{one} = {other}" for one, other in pairs)))


def shared_dataset(manifests: Iterable[Path]) -> Dataset:
    """The dataset.yaml that stands beside manifests; of different folders, what all of them declare.

    Raises:
        ManifestError: One of them cannot be read.
    """
    datasets = [read_dataset(folder) for folder in dict.fromkeys(manifest.parent for manifest in manifests)]
    if len(datasets) == 1:
        return datasets[0]
    return Dataset(shared=tuple(kind for kind in ("speaker", "text") if all(kind in item.shared for item in datasets)))


def _speakers(utterances: Iterable[Utterance]) -> set[str]:
    return {utterance.speaker for utterance in utterances if utterance.speaker is not None}


def _by_text(utterances: Iterable[Utterance], normalize: Callable[[str], str]) -> dict[str, list[Utterance]]:
    """Utterances by normalised text, those without any left out."""
    groups = defaultdict(list)
    for utterance in utterances:
        if text := normalize(utterance.text):
            groups[text].append(utterance)
    return dict(groups)


def _same_files(first: Sequence[Utterance], second: Sequence[Utterance]) -> set[tuple[str, str]]:
    """Ids of pairs whose audio files are equal byte by byte. Only files whose size stands on both sides are read."""
    here, there = _by_size(first), _by_size(second)
    pairs = set()
    for length in here.keys() & there.keys():
        ones, others = _by_hash(here[length]), _by_hash(there[length])
        for content in ones.keys() & others.keys():
            pairs |= {(one.id, other.id) for one in ones[content] for other in others[content]}
    return pairs


def _by_size(utterances: Iterable[Utterance]) -> dict[int, list[Utterance]]:
    """Utterances by the size of their audio file in bytes, those without a whole file left out."""
    groups = defaultdict(list)
    for utterance in utterances:
        if (length := size(utterance.audio)) is not None:
            groups[length].append(utterance)
    return dict(groups)


def _by_hash(utterances: Iterable[Utterance]) -> dict[str, list[Utterance]]:
    """Utterances by the hash of their audio file."""
    groups = defaultdict(list)
    for utterance in utterances:
        # What cannot be read is nobody's copy; whoever reads the recordings says so.
        with suppress(OSError, AudioError), open_binary(utterance.audio) as stream:
            groups[hashlib.file_digest(stream, "sha256").hexdigest()].append(utterance)
    return dict(groups)


def _same_recordings(
    first: Mapping[str, list[Utterance]], second: Mapping[str, list[Utterance]]
) -> set[tuple[str, str]]:
    """Ids of pairs of the same text, duration and sound, by speakers that are not known to differ.

    Text and duration alone prove nothing where many say the same few words: any two takes of "seven" would do. So the
    sound decides.
    """
    pairs = set()
    for text in first.keys() & second.keys():
        ones, others = first[text], second[text]
        candidates = _may_be_same(ones, others)
        matches = same_recordings([one.audio for one in ones], [other.audio for other in others], candidates)
        pairs |= {(ones[i].id, others[j].id) for i, j in matches}
    return pairs


def _may_be_same(ones: Sequence[Utterance], others: Sequence[Utterance]) -> npt.NDArray[np.bool_]:
    """(ones, others): alike in duration, and by speakers that are not known to differ."""
    lengths = [np.array([item.duration for item in items]) for items in (ones, others)]
    speakers = [np.array([item.speaker or "" for item in items]) for items in (ones, others)]
    differ = (speakers[0][:, None] != speakers[1]) & (speakers[0] != "")[:, None] & (speakers[1] != "")
    possible: npt.NDArray[np.bool_] = (np.abs(lengths[0][:, None] - lengths[1]) <= SAME_DURATION) & ~differ
    return possible
