"""The training loop, to be read from top to bottom."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from asr.config import Config
from asr.data.dataset import Batch, SpeechData, too_many_unreadable
from asr.data.plan import Plan, epoch_plan, frames, plain_plan
from asr.data.randomness import torch_seed
from asr.errors import TrainingError
from asr.model.file import ModelFile
from asr.train.average import MovingAverage, applied
from asr.train.checkpoint import Progress, save_checkpoint
from asr.train.group import Group
from asr.train.journal import Journal
from asr.train.keep import Keeper
from asr.train.losses import batch_losses
from asr.train.schedule import learning_rate
from asr.train.validate import Validation, validate


class Trainer:
    """A model in training: what it needs, and where it stands.

    Args:
        content: The model, on the device it trains on, and what belongs to it.
        optimizer: Of the model's parameters.
        average: Of the model's weights, to be validated and kept in their place; None: the weights themselves are.
        training: The training set.
        validation: The validation set.
        progress: Where to go on from.
        folder: The run folder.
        run_id: Hashes of data and settings, kept in each checkpoint.
        group: The processes that train this model together.
    """

    def __init__(
        self,
        content: ModelFile,
        optimizer: torch.optim.Optimizer,
        average: MovingAverage | None,
        training: SpeechData,
        validation: SpeechData,
        progress: Progress,
        folder: Path,
        run_id: str,
        group: Group,
    ) -> None:
        self.model = content.model
        self.config: Config = content.config
        self.tokenizer = content.tokenizer
        self.optimizer = optimizer
        self.average = average
        self.training = training
        self.validation = validation
        self.validation_plan = plain_plan(validation.items, self.config)
        self.progress = progress
        self.folder = folder
        self.run_id = run_id
        self.group = group
        self.keeper = Keeper(folder, content, progress, group)
        self.bf16 = uses_bf16(self.config.train.bf16, group.device)
        self.tried = False

    def fit(self, journal: Journal) -> None:
        """Train to the last epoch, or until validation has not improved for `patience` epochs."""
        settings = self.config.train
        if self.progress.step == 0:
            self._save(journal)  # shows that there is room for one, and a run without any is known to have lost them
        while not self._ended():
            self._train_epoch(journal)
            self._finish_epoch(journal)
            if self._ended() and settings.average != "none":
                self._average_epochs(journal)
            self._save(journal)
        if self.progress.epoch < settings.epochs:
            journal.say(f"no better validation in {settings.patience} epochs: stopped early")

    def _ended(self) -> bool:
        """Whether the run has come to its last epoch, or was not getting better."""
        progress, settings = self.progress, self.config.train
        waited = progress.epoch - 1 - progress.best_epoch
        return progress.epoch >= settings.epochs or 0 < settings.patience <= waited

    def _train_epoch(self, journal: Journal) -> None:
        """Train on what is left of the epoch under way."""
        progress, settings = self.progress, self.config.train
        plan = epoch_plan(self.training.items, self.config, settings.seed, progress.epoch)
        if not self.tried:
            self._try_largest(plan)
        steps = [plan[start : start + settings.accumulate] for start in range(0, len(plan), settings.accumulate)]
        left = steps[progress.epoch_step :]
        share = slice(self.group.rank, None, self.group.size)  # of a step's batches, this process computes these
        batches = self.training.batches([batch for step in left for batch in step[share]], progress.epoch)
        clock = time.monotonic()
        for step in left:
            done = (progress.epoch + progress.epoch_step / len(steps)) / settings.epochs
            rate = learning_rate(done, settings, progress.drops)
            parts = dict(zip(range(len(step))[share], batches, strict=False))
            tokens = sum(self.training.tokens(example) for batch in step for example in batch)
            loss, gradient = self._step(parts, tokens, rate)
            self._count_lost(parts, journal)

            progress.epoch_step += 1
            progress.step += 1
            progress.loss += loss
            took, clock = time.monotonic() - clock, time.monotonic()
            progress.seconds += took
            audio = sum(example.seconds for batch in step for example in batch)
            figures = {"step": progress.step, "epoch": progress.epoch + 1, "loss": loss, "lr": rate}
            figures |= {"gradient": gradient, "audio_per_second": audio / took, "seconds": progress.seconds}
            journal.step(figures, done, left=progress.seconds / max(done, 1e-3) * (1 - done))
            if progress.step % settings.checkpoint_steps == 0 and progress.epoch_step < len(steps):
                self._save(journal)  # not at an epoch's end, which is saved once it is validated and logged

    def _step(self, parts: Mapping[int, Batch], tokens: int, rate: float) -> tuple[float, float]:
        """One optimiser step; returns the loss a token and the length of the gradient before clipping.

        Args:
            parts: The batches of the step that are this process' share, by their number in the step.
            tokens: Target tokens in all batches of the step.
            rate: The learning rate.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad()
        mine = sum(batch.lost_tokens for batch in parts.values())
        loss, lost = self.group.add_gradients(self.model, self._gradients(parts, tokens), mine)
        if 0 < lost < tokens:  # the plan counted what could not be read
            loss *= tokens / (tokens - lost)
            torch._foreach_mul_(self._all_gradients(), tokens / (tokens - lost))
        gradient = clip_grad_norm_(self.model.parameters(), self.config.train.clip)
        if not torch.isfinite(gradient):
            raise TrainingError(self._diverged(parts))
        self.optimizer.step()
        if self.average:
            self.average.update(self.model)
        return loss, float(gradient)

    def _gradients(self, parts: Mapping[int, Batch], tokens: int) -> float:
        """Add up the gradients of some batches as if they were one; returns their loss a token.

        What is not finite is left to show in the sum of all gradients, so that all processes stop together.
        """
        total = 0.0
        self.diverged: list[str] = []
        for part, batch in parts.items():
            if not batch.ids:  # nothing of it could be read
                continue
            # Reseeded, so that dropout is a function of (seed, step, part) and no generator state has to be kept.
            torch.manual_seed(torch_seed(self.config.train.seed, self.progress.step, part, "dropout"))
            losses = self._losses(batch.to(self.group.device))
            loss = losses.sum() / tokens
            loss.backward()
            total += float(loss.detach())
            if not math.isfinite(total):
                named = zip(batch.ids, losses.tolist(), strict=True)
                self.diverged = [name for name, loss in named if not math.isfinite(loss)]
                break
        return total

    def _losses(self, batch: Batch) -> Tensor:
        """The loss of each example of a batch, as the settings want it."""
        settings = self.config.train
        weights = settings.consistency, settings.intermediate, settings.intermediate_weight
        return batch_losses(self.model, batch, self.bf16, *weights)

    def _all_gradients(self) -> list[Tensor]:
        return [parameter.grad for parameter in self.model.parameters() if parameter.grad is not None]

    def _count_lost(self, parts: Mapping[int, Batch], journal: Journal) -> None:
        """Say which recordings could not be read, each once in a run.

        Raises:
            AudioError: They are more than are tolerated.
        """
        known, tolerated = self.progress.unreadable, self.config.batches.unreadable
        for name, error in ((name, error) for batch in parts.values() for name, error in batch.lost.items()):
            if name not in known:
                known.append(name)
                journal.say(f"left out, {len(known)} of at most {tolerated}: {error}")
            if len(known) > tolerated:
                raise too_many_unreadable([error], tolerated)

    def _try_largest(self, plan: Plan) -> None:
        """The gradients of the epoch's largest batch, thrown away: what does not fit in memory shows now, not at night.

        Raises:
            TrainingError: It does not fit.
        """
        largest = max(plan, key=lambda batch: len(batch) * max(frames(one.seconds, self.config) for one in batch))
        try:
            for batch in self.training.batches([largest], self.progress.epoch):
                self._gradients({0: batch}, len(batch.targets))
        except (MemoryError, torch.OutOfMemoryError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and "memory" not in str(error).lower():
                raise
            seconds = max(one.seconds for one in largest)
            raise TrainingError(
                f"the largest batch ({len(largest)} examples of up to {seconds:.1f} s) does not fit in memory: lower "
                "batches.max_frames, and raise train.accumulate by as much to keep the size of a step"
            ) from None
        self.optimizer.zero_grad()
        self.tried = True

    def _finish_epoch(self, journal: Journal) -> None:
        """Validate, keep the model if it is the best so far, and go to the start of the next epoch."""
        progress, settings = self.progress, self.config.train
        with applied(self.average.weights, self.model) if self.average else nullcontext():
            result = self._validate()
            best = self.keeper.take_epoch(result)
        loss = progress.loss / progress.epoch_step
        figures = {"step": progress.step, "epoch": progress.epoch + 1, "loss": loss, "seconds": progress.seconds}
        journal.epoch(figures | vars(result) | {"best": best})
        if settings.schedule == "plateau":
            progress.stale = 0 if best else progress.stale + 1
            if progress.stale > settings.plateau_patience:
                progress.drops, progress.stale = progress.drops + 1, 0
        progress.epoch, progress.epoch_step, progress.loss = progress.epoch + 1, 0, 0.0

    def _average_epochs(self, journal: Journal) -> None:
        """Validate the average of several epochs' weights, and keep it if it is no worse than the model so far.

        The checkpoint of the last epoch comes after it: a run whose checkpoint is at its end has nothing left to do.
        """
        progress = self.progress
        with self.keeper.averaged() as epochs:
            result = self._validate()
            kept = self.keeper.take_average(result, epochs)
        journal.average({"step": progress.step, "epochs": epochs} | vars(result) | {"kept": kept})

    def _validate(self) -> Validation:
        return validate(self.model, self.tokenizer, self.validation, self.validation_plan, self.group)

    def _save(self, journal: Journal) -> None:
        if not self.group.leads:
            return
        journal.sync()
        average = self.average.state if self.average else None
        save_checkpoint(self.folder / "checkpoints", self.progress, self.model, self.optimizer, average, self.run_id)

    def _diverged(self, parts: Mapping[int, Batch]) -> str:
        """What to say when a gradient is not finite: whose loss is not, or whose gradient it is."""
        everyone = self.group.gather([name for batch in parts.values() for name in batch.ids])
        culprits = self.group.gather(self.diverged)
        what = f"the {'loss' if culprits else 'gradient'} of {', '.join((culprits or everyone)[:5])} is not finite"
        return (
            f"step {self.progress.step + 1}: {what}. Listen to these recordings, and try `asr check` (a text too long "
            "for its audio has no finite loss); if they are sound, lower train.lr or train.clip, or set "
            "train.bf16=off. The run can go on from its last checkpoint with --resume."
        )


def uses_bf16(setting: str, device: torch.device) -> bool:
    """Whether to train in bfloat16: as the setting says, or where the device computes it faster than float32."""
    if setting != "auto":
        return setting == "on"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
