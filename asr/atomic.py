"""Writing files so that a reader, a crash or a second process never meets half of one."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
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
    """
    path = Path(path)
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield aside
        _sync(aside)
        aside.replace(path)
        _sync(path.parent)
    finally:
        aside.unlink(missing_ok=True)


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
                raise AsrError(f"{folder}: another process is at work in this folder") from None
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
