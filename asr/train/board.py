"""The figures of a run for TensorBoard, each in its file as soon as it is known.

`SummaryWriter` would keep them for up to two minutes, which a crash takes with it, and write them in a thread, which
answers a full disk with a traceback of its own.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from asr.atomic import Appending


class Board:
    """A file of events in a folder that TensorBoard reads.

    Args:
        folder: Made where it is not there yet.
        step: The step that the run goes on from; TensorBoard drops what earlier files hold of later ones.

    Raises:
        OSError: It cannot be written, here and in `add`; `filename` is the file.
    """

    def __init__(self, folder: Path, step: int) -> None:
        folder.mkdir(exist_ok=True)
        name = f"events.out.tfevents.{time.time():.0f}.{socket.gethostname()}.{os.getpid()}"
        self._file = Appending(folder / name)
        self._records = RecordWriter(self._file)
        self._write(Event(file_version="brain.Event:2"))
        self._write(Event(step=step + 1, session_log=SessionLog(status=SessionLog.START)))

    def add(self, step: int, figures: Mapping[str, float]) -> None:
        """Add the figures of a step, by their name."""
        values = [Summary.Value(tag=name, simple_value=value) for name, value in figures.items()]
        self._write(Event(step=step, summary=Summary(value=values)))

    def close(self) -> None:
        """No more is added."""
        self._file.close()

    def _write(self, event: Event) -> None:
        event.wall_time = time.time()
        self._records.write(event.SerializeToString())
