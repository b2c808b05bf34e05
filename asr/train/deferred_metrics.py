"""What steps have computed, read off the device every so many of them.

A GPU works through what it was given while the process prepares what comes next. Reading a number from it waits until
it has caught up and leaves it idle until there is new work. So a step's loss and gradient stay where they were computed
and are read together, after every `READ_EVERY` steps and before anything is kept: a checkpoint, a validated model, the
end. A CPU has nothing to catch up with, so there each step is read as it is taken.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from asr.data.dataset import too_many_unreadable
from asr.errors import TrainingError
from asr.train.checkpoint import Progress
from asr.train.group import Group
from asr.train.journal import Journal

READ_EVERY = 20  # on a GPU; chosen, not measured: few waits, and the log still grows every few seconds


@dataclass(frozen=True)
class UnreadStep:
    """An optimiser step, as far as it is known without waiting.

    Attributes:
        number: Of the step in the run, from 1.
        epoch: From 1.
        rate: Its learning rate.
        done: Share of the training that is done with it.
        audio: Seconds of audio in it, over all processes.
        figures: (3,) float64 over all processes: loss a token, length of the gradient before clipping, and target
            tokens that were planned and could not be read.
        losses: Of this process' batches, the ids and (batch,) losses of the examples.
        lost: What is wrong with this process' recordings that could not be read, by utterance id.
    """

    number: int
    epoch: int
    rate: float
    done: float
    audio: float
    figures: Tensor
    losses: Sequence[tuple[Sequence[str], Tensor]]
    lost: Mapping[str, str]


class Figures(NamedTuple):
    """What was read of a step; see `UnreadStep`. The seconds are its share of the time since the last reading."""

    loss: float
    gradient: float
    lost: float
    seconds: float


class Unread:
    """The steps taken since the last reading.

    Args:
        progress: Of the run; losses, time and unreadable recordings are added to it as they are read.
        group: The processes that train together. They read after the same steps, so that what is read is the same in
            all of them, and all stop alike.
        tolerated: How many recordings may be unreadable.
    """

    def __init__(self, progress: Progress, group: Group, tolerated: int) -> None:
        self.progress = progress
        self.group = group
        self.tolerated = tolerated
        self.at_most = 1 if group.device.type == "cpu" else READ_EVERY
        self.steps: list[UnreadStep] = []
        self.clock = time.monotonic()

    def start_clock(self) -> None:
        """What has passed until now is no step's time."""
        self.clock = time.monotonic()

    def add(self, step: UnreadStep) -> None:
        """Take in a step."""
        self.steps.append(step)

    @property
    def full(self) -> bool:
        """Whether it is time to read."""
        return len(self.steps) >= self.at_most

    def read(self, journal: Journal) -> None:
        """Wait for the steps, log them, and stop at the first in which something went wrong.

        Raises:
            TrainingError: A loss or a gradient is not finite.
            AudioError: More recordings than are tolerated could not be read.
        """
        for step, figures in self._waited_for():
            if not (math.isfinite(figures.loss) and math.isfinite(figures.gradient)):
                raise TrainingError(self._diverged(step))
            if figures.lost:
                self._count_lost(step, journal)
            self._log(step, figures, journal)

    def read_alone(self, journal: Journal) -> None:
        """Wait for the steps and log them, where the run ends and the other processes may not come to read too."""
        for step, figures in self._waited_for():
            self._log(step, figures, journal)

    def _waited_for(self) -> Iterator[tuple[UnreadStep, Figures]]:
        if not self.steps:
            return
        steps, self.steps = self.steps, []
        rows = torch.stack([step.figures for step in steps]).tolist()  # the one wait
        now = time.monotonic()
        pace = (now - self.clock) / sum(step.audio for step in steps)
        self.clock = now
        for step, (loss, gradient, lost) in zip(steps, rows, strict=True):
            yield step, Figures(loss, gradient, lost, step.audio * pace)

    def _log(self, step: UnreadStep, figures: Figures, journal: Journal) -> None:
        progress, done = self.progress, step.done
        progress.loss += figures.loss
        progress.seconds += figures.seconds
        record = {"step": step.number, "epoch": step.epoch, "loss": figures.loss, "lr": step.rate}
        record |= {"gradient": figures.gradient, "audio_per_second": step.audio / figures.seconds}
        record |= {"seconds": progress.seconds}
        journal.step(record, done, left=progress.seconds / done * (1 - done))

    def _count_lost(self, step: UnreadStep, journal: Journal) -> None:
        """Say which recordings of a step could not be read, whoever tried, each once in a run."""
        known = self.progress.unreadable
        for name, error in self.group.gather(list(step.lost.items())):
            if name not in known:
                known.append(name)
                journal.say(f"left out ({len(known)} of at most {self.tolerated}): {error}")
            if len(known) > self.tolerated:
                raise too_many_unreadable([error], self.tolerated)

    def _diverged(self, step: UnreadStep) -> str:
        """What to say when numbers are not finite: whose loss is not, or whose gradient it is."""
        named = [pair for ids, losses in step.losses for pair in zip(ids, losses.tolist(), strict=True)]
        everyone = self.group.gather([name for name, _ in named])
        culprits = self.group.gather([name for name, loss in named if not math.isfinite(loss)])
        what = f"the {'loss' if culprits else 'gradient'} of {', '.join((culprits or everyone)[:5])} is not finite"
        return (
            f"step {step.number}: {what}. Listen to these recordings, and run `asr check` (a text too long "
            "for its audio has no finite loss). Fix them or leave them out; if they are fine, lower train.lr or "
            "train.clip, or set train.bf16=off. Either way train with another --out, where train.init_from can name "
            "this run, to start from its best epoch."
        )
