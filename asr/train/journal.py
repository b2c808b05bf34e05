"""What a run tells: `log.jsonl`, TensorBoard, and a progress bar on a terminal or plain lines elsewhere."""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from asr.atomic import Appending, replacing
from asr.train.board import Board

_SECONDS_BETWEEN_LINES = 30.0


class Journal:
    """The run's log, on disk and on screen.

    Args:
        folder: The run folder.
        step: The step that the run goes on from; what was logged after it is cut.

    Raises:
        OSError: A file cannot be written, here and with each record; `filename` is the file.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self.path = folder / "log.jsonl"
        _cut(self.path, step)
        self._file = Appending(self.path)
        self._board = Board(folder / "tensorboard", step)
        self._console = Console(file=sys.stderr)
        self._bar: Progress | None = None
        if self._console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"))
            self._bar = Progress(*columns, TimeRemainingColumn(), console=self._console, transient=True)
            self._task = self._bar.add_task("training", total=1.0, text="")
        self._said = time.monotonic()
        self._sitting: dict[str, Any] | None = None

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *failure: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._bar:
            self._bar.stop()
        self._board.close()
        self._file.close()

    def say(self, text: str) -> None:
        """A line for the person who waits."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def sitting(self, record: dict[str, Any]) -> None:
        """Log what computes from here on; written with the first step, since a run that never took one is not begun."""
        self._sitting = record

    def step(self, record: dict[str, Any], done: float, left: float) -> None:
        """Log one optimiser step.

        Args:
            record: Its figures; `step`, `epoch`, `loss` and `audio_per_second` are shown.
            done: Share of the training that is done, 0 to 1.
            left: Estimated seconds to go.
        """
        if self._sitting:
            self._write("sitting", self._sitting)
            self._sitting = None
        self._write("step", record)
        text = f"loss {record['loss']:.3f}, {record['audio_per_second']:.0f} s of audio per second"
        if self._bar:
            self._bar.update(self._task, completed=done, description=f"epoch {record['epoch']}", text=text)
        elif time.monotonic() - self._said > _SECONDS_BETWEEN_LINES:
            self._said = time.monotonic()
            self.say(f"epoch {record['epoch']}, step {record['step']}: {text}, {_clock(left)} left")

    def epoch(self, record: dict[str, Any]) -> None:
        """Log one epoch with its validation."""
        self._write("epoch", record)
        self._said = time.monotonic()
        better = ", best so far" if record["best"] else ""
        trained = f"{_clock(record['seconds'])} trained{better}"
        self.say(f"epoch {record['epoch']}: loss {record['loss']:.3f}, {_validation(record)}, {trained}")
        self.say(f"  reference:  {record['reference']}")
        self.say(f"  hypothesis: {record['hypothesis']}")

    def average(self, record: dict[str, Any]) -> None:
        """Log the average of some epochs' weights with its validation."""
        self._write("average", record)
        epochs = ", ".join(map(str, record["epochs"]))
        verdict = "now the run's model" if record["kept"] else "worse, so the run's model is kept"
        self.say(f"average of the weights of epochs {epochs}: {_validation(record)}; {verdict}")

    def sync(self) -> None:
        """Wait until the log is on the disk: a checkpoint must not outlive, in a power cut, the log of its steps."""
        self._file.sync()

    def _write(self, kind: str, record: dict[str, Any]) -> None:
        self._file.write(_line({"kind": kind, **record}))
        figures = {f"{kind}/{name}": value for name, value in record.items() if isinstance(value, float)}
        self._board.add(record["step"], figures)


class Silence(Journal):
    """The journal of a process that is not the one to talk."""

    def __init__(self) -> None:
        pass

    def __exit__(self, *failure: type[BaseException] | BaseException | TracebackType | None) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def say(self, text: str) -> None:
        """Nothing."""

    def sitting(self, record: dict[str, Any]) -> None:
        """Nothing."""

    def step(self, record: dict[str, Any], done: float, left: float) -> None:
        """Nothing."""

    def epoch(self, record: dict[str, Any]) -> None:
        """Nothing."""

    def average(self, record: dict[str, Any]) -> None:
        """Nothing."""

    def sync(self) -> None:
        """Nothing."""


def read_log(path: Path) -> list[dict[str, Any]]:
    """The records of a `log.jsonl`; lines that are none, such as a last one cut short by a crash, are passed over."""
    records = []
    if path.exists():
        for line in path.read_bytes().splitlines():  # bytes, since it may be cut short within a character
            with suppress(ValueError):
                record = json.loads(line)
                if isinstance(record, dict) and isinstance(record.get("step"), int):
                    records.append(record)
    return records


def _cut(path: Path, step: int) -> None:
    """Drop what was logged after a step: the resumed run will write it again.

    A sitting is logged with the step that it went on from; of one that went on from here no step is left.
    """
    kept = [record for record in read_log(path) if record["step"] + (record.get("kind") == "sitting") <= step]
    with replacing(path) as aside:
        aside.write_bytes(b"".join(map(_line, kept)))


def _line(record: dict[str, Any]) -> bytes:
    return (json.dumps(record, ensure_ascii=False) + "\n").encode()


def _validation(record: dict[str, Any]) -> str:
    rates = f"validation WER {100 * record['wer']:.2f} %, CER {100 * record['cer']:.2f} %"
    return f"{rates}, blank {100 * record['blank']:.0f} %"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
