"""What ends a run from outside: a signal waits for the end of a step, all else is told in one line."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, ClassVar

from torch import distributed

from asr.device import out_of_memory
from asr.errors import TrainingError

_GOES_ON = "run the same command with --resume to continue from the last checkpoint"


class Signals:
    """Ctrl-C, and the SIGTERM of `kill` and of schedulers: noted until a step has ended and can be kept.

    A second one ends the process as it would have without this.
    """

    # What each signal does where nobody has said otherwise. Who has (`nohup`, a shell's `&`, a notebook) is left alone.
    USUAL: ClassVar[dict[signal.Signals, Callable[[int, FrameType | None], Any] | signal.Handlers]] = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
    }

    def __init__(self) -> None:
        self._came = 0
        self._process = os.getpid()

    @property
    def asked(self) -> bool:
        """Whether one has come, and the run should end."""
        return bool(self._came)

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note them while it lasts; of threads but the main one, and of who handles them by himself, none."""
        mine = []
        for number, usual in self.USUAL.items():
            if signal.getsignal(number) == usual:
                try:
                    signal.signal(number, self._note)
                except ValueError:  # not the main thread
                    break
                mine.append(number)
        try:
            yield
        finally:
            for number in mine:
                signal.signal(number, self.USUAL[number])

    def end(self) -> None:
        """End the process as the signal would have.

        Raises:
            KeyboardInterrupt: It was Ctrl-C.
            SystemExit: It was SIGTERM; with the exit status that a shell gives for it.
        """
        if self._came == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + self._came)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a loader's worker: Ctrl-C goes to all, and the step still needs it
            if number == signal.SIGINT:
                return
        elif not self._came:
            self._came = number
            # Not by `print`, which may be under way.
            os.write(2, b"\nstopping after this step or validation; interrupt again to stop at once\n")
            return
        signal.signal(number, self.USUAL[signal.Signals(number)])
        signal.raise_signal(number)


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
        raise TrainingError(f"{where}{what}. Fix this, then {_GOES_ON}") from None
    except (MemoryError, RuntimeError) as error:
        if "DataLoader worker" in str(error):
            raise TrainingError(
                "a loader worker died, most likely out of memory; set batches.workers=0 or lower "
                f"batches.cache_mb, then {_GOES_ON}"
            ) from None
        if isinstance(error, distributed.DistError) or "gloo" in str(error):
            raise TrainingError(
                f"another training process has ended; see its own message for the reason, then {_GOES_ON}"
            ) from None
        if out_of_memory(error):
            raise TrainingError(
                "out of memory. Lower batches.cache_mb or batches.workers, or stop other programs, then "
                f"{_GOES_ON}. A lower batches.max_frames needs a new run with another --out"
            ) from None
        raise
