"""`compiled`: how the decoders' hot loops become machine code, without a compiler on the user's machine.

What was compiled is kept on disk. Numba takes it from there while the function's own file is as it was, whatever has
become of the functions that it calls; so each state of these sources has a folder of its own.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from numba import njit
from numba.core import config, event
from numba.core.options import DefaultOptions

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """The function, compiled by numba at its first call and run without the interpreter's lock.

    Where nothing can be kept on disk, every process compiles for itself: slow to start, but no failure. Never
    `fastmath`: it assumes that there is no infinity, and an impossible path has the log-probability -inf.
    """
    return _compiled(function, {})


def lean(function: Function) -> Function:
    """The same for a function that makes no arrays and returns none: it counts no references to those that it is given.

    A count is a locked instruction. To hand the arrays of a language model from one small function to the next takes
    dozens of them: measured, 13 to 30 % of the time of a search.
    """
    return _compiled(function, _UNCOUNTED)


def _compiled(function: Function, options: dict[str, bool]) -> Function:
    if _FOLDER is None:
        return njit(nogil=True, **options)(function)  # type: ignore[no-any-return]
    theirs, config.CACHE_DIR = config.CACHE_DIR, str(_FOLDER)  # read where a function is decorated
    try:
        return njit(cache=True, nogil=True, **options)(function)  # type: ignore[no-any-return]
    except RuntimeError:  # a function of no file
        return njit(nogil=True, **options)(function)  # type: ignore[no-any-return]
    finally:
        config.CACHE_DIR = theirs


def cache_folder(sources: Iterable[Path], places: Iterable[Path]) -> Path | None:
    """A folder for what is compiled from some sources, in the first place where files can be written; else None."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(sources))).hexdigest()[:16]
    for place in places:
        folder = place / "asr-compiled" / digest
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError:
            continue
        return folder
    return None


class _Teller(event.Listener):  # type: ignore[misc]
    """Tells once that something is being compiled: what comes ready from the disk is no such event."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say: Callable[[str], None] | None = say

    def on_start(self, event: event.Event) -> None:
        say, self._say = self._say, None
        if say:
            kept = (
                "the first time only: ten seconds or more"
                if _FOLDER
                else "every time, because no cache folder is writable: see NUMBA_CACHE_DIR"
            )
            say(f"compiling this part of the decoder, {kept}")

    def on_end(self, event: event.Event) -> None:
        """Nothing to tell."""


def tell_compiling(say: Callable[[str], None]) -> None:
    """Have a user told, when the first function of this process is compiled, what they are waiting for."""
    event.register("numba:compile", _Teller(say))


def _places() -> list[Path]:
    """Where the user wants numba's files; else beside the modules, or in the user's own cache."""
    if wanted := os.environ.get("NUMBA_CACHE_DIR"):
        return [Path(wanted)]
    places = [Path(__file__).parent / "__pycache__"]
    with suppress(RuntimeError):  # nobody knows a home
        places.append(Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser())
    return places


_FOLDER = cache_folder(Path(__file__).parent.glob("*.py"), _places())
_UNCOUNTED = {"_nrt": False} if hasattr(DefaultOptions, "_nrt") else {}  # without numba's runtime; a private option
