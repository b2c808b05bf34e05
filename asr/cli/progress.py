"""Progress on standard error: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[str, float, float], None]

_SECONDS = 10.0  # between two lines


@contextmanager
def progress() -> Iterator[Advance]:
    """A function to call with a label, what is done and what there is in all; each label has its own bar."""
    if not sys.stderr.isatty():
        yield _plain()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f} %"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def advance(label: str, done: float, total: float) -> None:
            if label not in tasks:
                tasks[label] = bars.add_task(label, total=total)
            bars.update(tasks[label], completed=done)

        yield advance


def _plain() -> Advance:
    """Progress for a log: a line every ten seconds, and at the end of what took as long; what is quick says nothing."""
    last: dict[str, float] = {}
    said: set[str] = set()

    def advance(label: str, done: float, total: float) -> None:
        now = time.monotonic()
        if now - last.setdefault(label, now) >= _SECONDS or (label in said and done >= total):
            last[label] = now
            said.add(label)
            print(f"{label}: {100 * done / total if total else 100:.0f} %", file=sys.stderr)

    return advance
