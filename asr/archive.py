"""Recordings inside tar archives ("shards"), each named by where its bytes are: `train-0001.tar@OFFSET+LENGTH`.

A corpus of a million files is slow to copy, to list and to read in random order; as a thousand archives it is not. The
manifest is the index: it says where each recording's bytes stand, so an archive needs none of its own, and a recording
is read by one seek. Everything that opens an utterance's audio does it here, so all commands take such names for paths.
"""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from asr.errors import AudioError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# No leading zeros, so that a name can be written in one way only; more digits than any disk has bytes.
_NOTATION = re.compile(r"(?P<shard>.+\.tar)@(?P<offset>0|[1-9][0-9]{0,17})\+(?P<length>[1-9][0-9]{0,17})", re.DOTALL)
_BUFFER = 1 << 16  # bytes
# Bytes in one request to read ahead. Of a larger one Linux reads no more than the device's largest transfer (8 of 64 MB
# on the machine where this was tried), and says nothing; this much is its usual smallest setting.
_REQUEST = 1 << 17


class Member(NamedTuple):
    """The bytes of one file inside an archive; `str` of it is the notation."""

    shard: str
    offset: int
    length: int

    def __str__(self) -> str:
        """`SHARD.tar@OFFSET+LENGTH`."""
        return f"{self.shard}@{self.offset}+{self.length}"


def parse(audio: str | Path) -> Member | None:
    """The member of a shard that a name stands for; None for the path of an ordinary file."""
    match = _NOTATION.fullmatch(str(audio))
    return Member(match["shard"], int(match["offset"]), int(match["length"])) if match else None


def open_binary(audio: str | Path) -> io.BufferedReader:
    """Open a file, or a member of a shard as if it were one.

    A file that really has such a name is opened where there is no such shard.

    Raises:
        AudioError: The shard is missing, or ends before the member does.
        OSError: Anything else that `open` raises.
    """
    member = parse(audio)
    if member is None:
        return Path(audio).open("rb")
    try:
        shard = Path(member.shard).open("rb", buffering=0)  # noqa: SIM115 (the part closes it)
    except FileNotFoundError:
        if Path(audio).is_file():
            return Path(audio).open("rb")
        raise AudioError(f"{audio}: no such shard: {member.shard}") from None
    held = os.fstat(shard.fileno()).st_size
    if held < member.offset + member.length:
        shard.close()
        raise AudioError(
            f"{audio}: {member.shard} is truncated: it has {held:,} bytes, but this recording ends at "
            f"{member.offset + member.length:,}; copy the shard again, or prepare the corpus again"
        )
    return io.BufferedReader(_Part(shard, member), _BUFFER)


def size(audio: str | Path) -> int | None:
    """Bytes of a file or member; None where it is not there, or not all of it."""
    member = parse(audio)
    path = Path(member.shard if member else audio)
    if member and path.is_file():
        return member.length if path.stat().st_size >= member.offset + member.length else None
    path = Path(audio)
    return path.stat().st_size if path.is_file() else None


def without_ending(audio: str | Path) -> Path:
    """A path without its ending; a member's name as it is, for what follows its last dot is no ending."""
    return Path(audio) if parse(audio) else Path(audio).with_suffix("")


def will_need(path: str, start: int, end: int) -> None:
    """Ask the kernel to read the bytes [start, end) of a file into its cache, and do not wait for them.

    A hint: where the system takes none, or there is no such file, nothing happens.
    """
    if start >= end or not hasattr(os, "posix_fadvise"):  # macOS, Windows
        return
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return  # whoever reads it will say so
    try:
        for place in range(start, end, _REQUEST):
            os.posix_fadvise(descriptor, place, min(_REQUEST, end - place), os.POSIX_FADV_WILLNEED)
    except OSError:  # a pipe, or a file system without a cache
        pass
    finally:
        os.close(descriptor)


class _Part(io.RawIOBase):
    """A stretch of an open file as a file of its own, which it closes."""

    def __init__(self, file: io.FileIO, member: Member) -> None:
        self._file = file
        self._member = member
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._member.length}[whence]
        if start + offset < 0:
            raise OSError("negative seek position")
        self._place = start + offset
        return self._place

    def readinto(self, buffer: WriteableBuffer, /) -> int | None:
        left = max(self._member.length - self._place, 0)
        self._file.seek(self._member.offset + self._place)
        count = self._file.readinto(memoryview(buffer)[:left])
        self._place += count or 0
        return count

    def close(self) -> None:
        self._file.close()
        super().close()
