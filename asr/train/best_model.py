"""Which weights become the run's model, and writing them to its file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from asr.model.file import MODEL_NAME, ModelFile, save_model
from asr.train.average import EpochWeights, applied
from asr.train.checkpoint import Progress
from asr.train.group import Group
from asr.train.validate import Validation


class Keeper:
    """Keeps `model.safetensors` the best that a run has validated: an epoch, or the average of several in the end.

    Every process decides alike; the first one writes.

    Args:
        folder: The run folder.
        content: The model in training and what belongs to it; `training` says what is true of all epochs.
        progress: Of the run; the best epoch and the kept average are noted in it.
        group: The processes that train this model together.
    """

    def __init__(self, folder: Path, content: ModelFile, progress: Progress, group: Group) -> None:
        self.path = folder / MODEL_NAME
        self.content = content
        self.progress = progress
        self.group = group
        self.epochs: EpochWeights | None = None
        settings = content.config.train
        if settings.average != "none" and group.leads:
            self.epochs = EpochWeights(folder / "epochs", settings.average, settings.average_epochs, progress.epoch)

    def take_epoch(self, result: Validation) -> bool:
        """Take in the epoch that was validated, whose weights the model has; returns whether it is the best so far."""
        progress = self.progress
        best = result.cer < progress.best_cer
        if best:
            progress.best_epoch, progress.best_cer = progress.epoch, result.cer
        if best and result.cer < progress.average_cer:
            progress.average_cer = math.inf
            self._write(result, epoch=progress.epoch + 1)
        if self.epochs:
            self.epochs.add(self.content.model, progress.epoch + 1, result.cer)
        return best

    @contextmanager
    def averaged(self) -> Iterator[list[int]]:
        """The model has the mean of the chosen epochs' weights within; yields their numbers, to the first process."""
        model = self.content.model
        chosen = self.epochs.chosen() if self.epochs else []
        weights = self.epochs.mean(chosen) if self.epochs else dict(model.named_parameters())
        with applied(weights, model):
            self.group.broadcast_model(model)  # so that the others need not see the first one's files
            yield chosen

    def take_average(self, result: Validation, epochs: Sequence[int]) -> bool:
        """Take in the average that was validated, whose weights the model has.

        Args:
            result: What its validation found.
            epochs: What it is an average of.

        Returns:
            Whether it is the run's model now: it is if it is no worse than what was.
        """
        progress = self.progress
        kept = result.cer <= min(progress.best_cer, progress.average_cer)
        if kept:
            progress.average_cer = result.cer
            self._write(result, epoch=progress.epoch, averaged=epochs)
        return kept

    def _write(self, result: Validation, epoch: int, averaged: Sequence[int] = ()) -> None:
        if not self.group.leads:
            return
        facts = self.content.training | {"epoch": epoch, "step": self.progress.step}
        facts["validation"] = {"wer": result.wer, "cer": result.cer, **facts["validation"]}
        if averaged:
            facts["averaged"] = {"choice": self.content.config.train.average, "epochs": list(averaged)}
        save_model(self.path, replace(self.content, training=facts))
