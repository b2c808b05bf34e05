"""`compiled`: how the decoders' hot loops become machine code, without a compiler on the user's machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """The function, compiled by numba at its first call and run without the interpreter's lock.

    What was compiled is kept beside the module, or in the user's cache folder where that cannot be written. Where
    neither can be, every process compiles for itself: slow to start, but no failure. Never `fastmath`: it assumes that
    there is no infinity, and an impossible path has the log-probability -inf.
    """
    try:
        return njit(cache=True, nogil=True)(function)  # type: ignore[no-any-return]
    except RuntimeError:  # numba finds no folder for its cache
        return njit(nogil=True)(function)  # type: ignore[no-any-return]
