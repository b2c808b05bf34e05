"""What ends a run from outside, told in one line that says how it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import distributed

from asr.errors import TrainingError

_GOES_ON = "the same command with --resume goes on from the last checkpoint"


@contextmanager
def stops_told() -> Iterator[None]:
    """Turn a disk that takes no more, memory that is used up, and a process that died, into one line.

    Wrapped around all of a run, since torch notices a dead worker in a signal handler, which raises wherever the
    process is at that moment: in a step, in a validation, or while a file is written.

    Raises:
        TrainingError: One of these has happened.
    """
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename is not None else ""
        what = (error.strerror or str(error)).lower()
        raise TrainingError(f"{where}{what}. Once that is mended, {_GOES_ON}") from None
    except (MemoryError, RuntimeError) as error:
        if "DataLoader worker" in str(error):
            raise TrainingError(
                "a loader worker died, most likely for want of memory; batches.workers=0 or a smaller "
                f"batches.cache_mb needs less. Then {_GOES_ON}"
            ) from None
        if isinstance(error, distributed.DistError) or "gloo" in str(error):
            raise TrainingError(
                f"another of the processes that train together has ended; its own message says why. Then {_GOES_ON}"
            ) from None
        if out_of_memory(error):
            raise TrainingError(
                "out of memory. A smaller batches.cache_mb, fewer batches.workers, or nothing else running beside "
                f"may do: {_GOES_ON}. A smaller batches.max_frames needs another --out"
            ) from None
        raise


def out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory is used up; torch has a type for that on a GPU alone."""
    said = ("out of memory", "allocate memory", "not enough memory")
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error).lower() for words in said)
    )
