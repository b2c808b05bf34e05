"""The splits that an evaluation is asked for, `[name=]manifest.jsonl` each."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from asr.data.manifest import Dataset, Utterance, named_splits, read_dataset, read_manifest
from asr.data.splits import refuse_copies, refuse_overlaps


@dataclass(frozen=True)
class Split:
    """A named manifest, read.

    Attributes:
        name: Unique among the splits of an evaluation.
        manifest: Its path.
        utterances: What it holds.
        dataset: The description of the data set that it lies in.
        overlaps: What it shares with the other splits of its folder, as dataset.yaml declares; a line each.
        sha256: Of the manifest's bytes.
    """

    name: str
    manifest: Path
    utterances: list[Utterance]
    dataset: Dataset
    overlaps: tuple[str, ...] = ()
    sha256: str = ""


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_splits(arguments: Iterable[str]) -> list[Split]:
    """Read the splits named on a command line.

    Args:
        arguments: Each `name=path`, or `path` alone, whose name is then the file's without its ending.

    Raises:
        ManifestError: Two of one name, a manifest that cannot be used, or splits that share what they must not: a
            recording; of one folder an id too, or a speaker or text that its dataset.yaml does not declare.
    """
    splits = [
        Split(name, path, read_manifest(path), read_dataset(path.parent), sha256=file_hash(path))
        for name, path in named_splits(arguments).items()
    ]
    folders: dict[Path, list[Split]] = defaultdict(list)
    for split in splits:
        folders[split.manifest.parent.resolve()].append(split)
    found = [
        overlap
        for together in folders.values()
        for overlap in refuse_overlaps({split.name: split.utterances for split in together}, together[0].dataset)
    ]
    refuse_copies([{split.name: split.utterances for split in together} for together in folders.values()])
    return [
        replace(split, overlaps=tuple(str(overlap) for overlap in found if split.name in overlap.splits))
        for split in splits
    ]
