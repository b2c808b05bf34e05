"""What ends a run from outside, told in one line that says how it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from asr.errors import TrainingError

_GOES_ON = "the same command with --resume goes on from the last checkpoint"


@contextmanager
def stops_told() -> Iterator[None]:
    """Turn a disk that takes no more, and a loader worker that died, into one line.

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
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise TrainingError(
            "a loader worker died, most likely for want of memory; batches.workers=0 or a smaller batches.cache_mb "
            f"needs less. Then {_GOES_ON}"
        ) from None
