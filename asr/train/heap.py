"""Memory that one training step frees is kept for the next.

A step on a processor makes and drops gigabytes of intermediate results. glibc asks the system for each large one and
hands it back when it is dropped, and the system clears every page of the next one: a fifth of the time of a step
(benchmarks/heap.py).
"""

from __future__ import annotations

import ctypes
import os

# Of <malloc.h>; mallopt(3) says what they do.
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8


def keep_freed_memory() -> None:
    """Have this process keep what it frees, from here on: it stays as large as its largest step made it.

    Nothing happens with another C library than glibc (of macOS, Alpine, Windows), which may do as well by itself.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is None:
        return
    mallopt(_MMAP_MAX, 0)  # large blocks come from the heap too, which the system does not clear each time
    mallopt(_TRIM_THRESHOLD, -1)  # and the heap does not shrink
    mallopt(_ARENA_MAX, 1)  # one heap for all threads: what one of them frees serves the others, and large blocks fit
