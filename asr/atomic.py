"""Writing files so that a reader, a crash, a full disk or a second process never meets half of one."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from asr.errors import AsrError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_PATIENCE = 10.0  # seconds; loader processes of a run that was killed hold its claim for a moment


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A path beside `path` to write to; on success it is synced to disk and takes the place of `path` in one step.

    On an error the file that was there stays, and what was written aside is removed. The order (write, fsync, rename,
    fsync of the folder) is the one that survives a power cut on a journalling file system.

    Raises:
        OSError: It cannot be written; `filename` is `path`, whatever was being done.
    """
    path = Path(path)
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield aside
        _sync(aside)
        aside.replace(path)
        _sync(path.parent)
    except OSError as error:
        if error.filename in (None, str(aside)):  # of a write that fails, Python does not say to what file
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        with suppress(OSError):  # a read-only file system: the error that led here says more
            aside.unlink()


def leftovers(folder: Path) -> list[Path]:
    """What processes that were killed while they were replacing files have left in a folder."""
    return sorted(folder.glob(".*.[0-9]*.tmp"))


class Appending:
    """A file at whose end whole records are written, one at a time.

    A record is the system's when `write` returns, so that it outlives the process; `sync` makes all of them outlive a
    power cut.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("ab", buffering=0)

    def write(self, record: bytes) -> None:
        """Write all of a record, or nothing.

        Raises:
            OSError: It cannot be written; `filename` is the file.
        """
        start = os.fstat(self._file.fileno()).st_size
        try:
            left = memoryview(record)
            while left:
                left = left[self._file.write(left) :]  # a disk that is almost full takes a part
        except OSError as error:
            os.ftruncate(self._file.fileno(), start)
            error.filename = str(self.path)
            raise

    def sync(self) -> None:
        """Wait until what was written is on the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """No more is written."""
        self._file.close()


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Keep other processes from claiming a folder meanwhile; the claim ends with the process, however it ends.

    Where the system (Windows) or the file system knows no such locks, nobody is kept out.

    Raises:
        AsrError: Another process has claimed it.
    """
    descriptor = os.open(folder, os.O_RDONLY) if fcntl else -1
    try:
        _lock(descriptor, folder)
        yield
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    patience = time.monotonic() + _PATIENCE
    while fcntl:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > patience:
                raise AsrError(f"{folder}: another process is using this folder") from None
            time.sleep(0.2)
            continue
        except OSError:  # no locks on this file system
            pass
        break


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
