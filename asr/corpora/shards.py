"""A corpus packed into tar archives: its recordings byte for byte, each followed by its transcript.

`asr` finds the recordings by what the manifests say (see `asr.archive`). Other programs can read the archives alone:
webdataset takes neighbours whose names are equal up to the first dot for one sample. The same corpus makes the same
bytes.
"""

from __future__ import annotations

import io
import math
import re
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, NamedTuple

from asr.archive import Member, open_binary, parse, size
from asr.atomic import claimed, replacing
from asr.audio import AUDIO_SUFFIXES
from asr.corpora.common import SHARDS, OnProgress, be_silent, file_names
from asr.data.manifest import Utterance, write_manifest
from asr.errors import CorpusError

_BLOCK = tarfile.BLOCKSIZE


class _Sample(NamedTuple):
    """What goes into a shard for one utterance: two files whose names begin with its key."""

    key: str
    utterance: Utterance
    length: int  # bytes of the audio

    @property
    def audio_name(self) -> str:
        suffix = Path(self.utterance.audio).suffix.lower()
        return self.key + (suffix if suffix in AUDIO_SUFFIXES else ".audio")

    @property
    def text(self) -> bytes:
        return self.utterance.text.encode()

    @property
    def blocks(self) -> int:
        """Bytes in the archive: two headers, two files filled up to whole blocks."""
        return 2 * _BLOCK + sum(-(-length // _BLOCK) * _BLOCK for length in (self.length, len(self.text)))


def pack_corpus(
    out: str | Path,
    splits: Mapping[str, Sequence[Utterance]],
    megabytes: float,
    on_progress: OnProgress = be_silent,
) -> dict[str, list[Utterance]]:
    """Pack a prepared corpus and have its manifests name the shards; see `pack`.

    Whatever interrupts this, the manifests are whole: of the loose files, or of finished shards.
    """
    packed = pack(out, splits, megabytes, on_progress)
    for name, utterances in packed.items():
        write_manifest(Path(out) / f"{name}.jsonl", utterances)
    return packed


def pack(
    out: str | Path,
    splits: Mapping[str, Sequence[Utterance]],
    megabytes: float,
    on_progress: OnProgress = be_silent,
) -> dict[str, list[Utterance]]:
    """Copy the recordings of a corpus into `out`/shards/SPLIT-NUMBER.tar, in the order of the utterances.

    Shards that an earlier call has left there are replaced, and removed where there are fewer now.

    Args:
        out: The folder of the manifests.
        splits: Utterances by split name, their audio anywhere but in these shards.
        megabytes: Size of a shard, about: those of a split are as large as each other, and none much larger than this.
        on_progress: Called after each shard with the number of recordings packed and of all.

    Returns:
        The utterances, their audio now members of the shards.

    Raises:
        CorpusError: A recording is gone, changes meanwhile, or lies in the folder of the shards.
        AsrError: Another process is packing into the folder.
    """
    folder = Path(out) / SHARDS
    samples = {name: _samples(utterances, folder) for name, utterances in splits.items()}
    total = sum(map(len, samples.values()))
    folder.mkdir(parents=True, exist_ok=True)
    packed: dict[str, list[Utterance]] = {name: [] for name in splits}
    written = set()
    with claimed(folder):
        for name, of_split in samples.items():
            for number, group in enumerate(_groups(of_split, megabytes * 1e6), start=1):
                path = folder / f"{name}-{number:04d}.tar"
                packed[name] += _write_shard(path, group)
                written.add(path)
                on_progress(sum(map(len, packed.values())), total)
        _clear(folder, splits, written)
    return packed


def _samples(utterances: Iterable[Utterance], folder: Path) -> list[_Sample]:
    """Utterances with their keys, no two alike, and their sizes."""
    samples = []
    utterances = list(utterances)
    for key, utterance in zip(file_names(one.id for one in utterances), utterances, strict=True):
        member = parse(utterance.audio)
        if member and Path(member.shard).resolve().parent == folder.resolve():
            raise CorpusError(f"{utterance.audio}: is in the output folder; choose another --out")
        if (length := size(utterance.audio)) is None:
            raise CorpusError(f"{utterance.audio}: has disappeared during preparation")
        samples.append(_Sample(key, utterance, length))
    return samples


def _groups(samples: Sequence[_Sample], limit: float) -> list[list[_Sample]]:
    """Runs of samples, all of about as many bytes in the archive, and those at most so many, or one sample more."""
    total = sum(sample.blocks for sample in samples)
    groups: list[list[_Sample]] = [[] for _ in range(math.ceil(total / limit))]
    start = 0
    for sample in samples:
        groups[start * len(groups) // total].append(sample)
        start += sample.blocks
    return [group for group in groups if group]


def _write_shard(path: Path, samples: Sequence[_Sample]) -> list[Utterance]:
    """Write one shard, and return its utterances with the places that another reader of tar archives finds in it."""
    with replacing(path) as aside:
        with tarfile.open(aside, "w", format=tarfile.PAX_FORMAT) as tar:
            for sample in samples:
                with open_binary(sample.utterance.audio) as stream:
                    if stream.seek(0, io.SEEK_END) != sample.length:
                        raise CorpusError(f"{sample.utterance.audio}: changed while being packed")
                    _add(tar, sample.audio_name, stream)
                _add(tar, f"{sample.key}.txt", io.BytesIO(sample.text))
        with tarfile.open(aside, "r:") as tar:
            places = {entry.name: Member(str(path), entry.offset_data, entry.size) for entry in tar}
    return [replace(sample.utterance, audio=str(places[sample.audio_name])) for sample in samples]


def _add(tar: tarfile.TarFile, name: str, stream: BinaryIO) -> None:
    """Add a file of which only name and content are kept: `TarInfo` says time 0, owner 0 and mode 644 by itself."""
    entry = tarfile.TarInfo(name)
    entry.size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    tar.addfile(entry, stream)


def _clear(folder: Path, splits: Iterable[str], written: set[Path]) -> None:
    """Remove what earlier calls have left: shards beyond the last, and halves of shards from one that was killed."""
    names = "|".join(map(re.escape, splits))
    ours = re.compile(rf"(?:{names})-\d{{4,}}\.tar|\.(?:{names})-\d{{4,}}\.tar\.\d+\.tmp")
    for path in folder.iterdir():
        if ours.fullmatch(path.name) and path not in written:
            path.unlink()
