"""The training loop, to be read from top to bottom."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from asr.config import Config
from asr.data.dataset import Batch, SpeechData
from asr.data.plan import Plan, epoch_plan, largest_batch, padding_share, plain_plan
from asr.data.seeding import torch_seed
from asr.device import out_of_memory, uses_bf16
from asr.errors import TrainingError
from asr.model.file import ModelFile
from asr.train.average import MovingAverage, applied
from asr.train.best_model import Keeper
from asr.train.checkpoint import Progress, save_checkpoint
from asr.train.deferred_metrics import Unread, UnreadStep
from asr.train.group import Group
from asr.train.journal import Journal
from asr.train.losses import batch_losses
from asr.train.schedule import learning_rate
from asr.train.stop import Signals
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
        self.unread = Unread(progress, group, self.config.batches.unreadable)
        self.signals = Signals()
        self.kept = progress.step  # that the last checkpoint is of

    def fit(self, journal: Journal) -> None:
        """Train to the last epoch, or until validation has not improved for `patience` epochs.

        Raises:
            KeyboardInterrupt, SystemExit: A signal came. Of one process training alone, the step under way, or the
                validation, has been ended and kept before.
        """
        # Of several processes one alone would keep the others waiting, and torchrun ends them all by a signal.
        with self.signals.noted() if self.group.size == 1 else nullcontext():
            self._fit(journal)

    def _fit(self, journal: Journal) -> None:
        settings = self.config.train
        if not self._ended():
            self._try_largest(journal)
        elif self.progress.epoch >= settings.epochs:
            journal.say(f"all {settings.epochs} epochs are done; increase train.epochs to continue")
        self._take_epochs(journal)
        if self.progress.step == 0:
            self._save(journal)  # shows that there is room for one, and a run without any is known to have lost them
        while not self._ended():
            self._train_epoch(journal)
            self._finish_epoch(journal)
            if self._ended() and settings.average != "none":
                self._average_epochs(journal)
            self._save(journal)
            if self.signals.asked and not self._ended():
                self.signals.end()
        if self.progress.epoch < settings.epochs:
            journal.say(f"no improvement on validation in {settings.patience} epochs: stopped early")

    def _take_epochs(self, journal: Journal) -> None:
        """Say what a larger `train.epochs` does to the learning rate of a run that goes on."""
        progress, settings = self.progress, self.config.train
        if 0 < progress.epochs < settings.epochs:
            before, now = (
                learning_rate(progress.epoch / epochs, settings, progress.drops)
                for epochs in (progress.epochs, settings.epochs)
            )
            journal.say(
                f"{settings.epochs} epochs instead of {progress.epochs}: the learning rate continues from {now:.2g} "
                f"instead of {before:.2g}, as in a run of that length"
            )
        progress.epochs = settings.epochs

    def _ended(self) -> bool:
        """Whether the run has come to its last epoch, or was not getting better."""
        progress, settings = self.progress, self.config.train
        waited = progress.epoch - 1 - progress.best_epoch
        return progress.epoch >= settings.epochs or 0 < settings.patience <= waited

    def _train_epoch(self, journal: Journal) -> None:
        """Train on what is left of the epoch under way."""
        progress, settings = self.progress, self.config.train
        plan = epoch_plan(self.training.items, self.config, settings.seed, progress.epoch)
        steps = [plan[start : start + settings.accumulate] for start in range(0, len(plan), settings.accumulate)]
        left = steps[progress.epoch_step :]
        share = slice(self.group.rank, None, self.group.size)  # of a step's batches, this process computes these
        mine = [batch for step in left for batch in step[share]]
        batches = self.training.batches(mine, progress.epoch, self.group.device)
        self.unread.start_clock()
        try:
            for step in left:
                done = (progress.epoch + progress.epoch_step / len(steps)) / settings.epochs
                rate = learning_rate(done, settings, progress.drops)
                parts = dict(zip(range(len(step))[share], batches, strict=False))
                self.unread.add(self._step(step, parts, done + 1 / (len(steps) * settings.epochs), rate))
                progress.epoch_step += 1
                progress.step += 1
                ends = progress.epoch_step == len(steps)  # and is saved once it is validated and logged
                stops = self.signals.asked
                saves = stops or (progress.step % settings.checkpoint_steps == 0 and not ends)
                if ends or saves or self.unread.full:
                    self.unread.read(journal)
                if saves:
                    self._save(journal)
                if stops:
                    self.signals.end()
            next(batches, None)  # the workers end here: one that died by now is an error, not a traceback of torch's
        except BaseException:
            self.unread.read_alone(journal)
            raise

    def _step(self, step: Plan, parts: Mapping[int, Batch], done: float, rate: float) -> UnreadStep:
        """One optimiser step, whose figures stay on the device; on a GPU it has hardly begun when this returns.

        Args:
            step: The batches of the step, as planned.
            parts: Those that are this process' share, by their number in the step.
            done: Share of the training that is done with it.
            rate: The learning rate.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad()
        tokens = sum(self.training.tokens(example) for batch in step for example in batch)
        loss, losses = self._gradients(parts, tokens)
        mine = loss.new_full((), sum(batch.lost_tokens for batch in parts.values()))
        loss, lost = self.group.all_reduce_gradients(self.model, torch.stack([loss, mine]))
        if self.config.batches.unreadable:  # the plan counted what could not be read
            scale = lost.new_full((), tokens) / (tokens - lost).clamp(min=1)
            loss = loss * scale
            for parameter in self.model.parameters():
                if parameter.grad is not None:
                    parameter.grad *= scale
        gradient = clip_grad_norm_(self.model.parameters(), self.config.train.clip).to(loss)
        # Where this is 1, torch's fused optimisers leave the weights alone (as torch.amp.GradScaler has them do): what
        # is not finite is known here only when it is read, and must not have reached the weights by then.
        self.optimizer.found_inf = (loss + gradient).isfinite().logical_not().float()  # type: ignore[attr-defined]
        self.optimizer.step()
        if self.average:
            self.average.update(self.model)
        return UnreadStep(
            number=self.progress.step + 1,
            epoch=self.progress.epoch + 1,
            rate=rate,
            done=done,
            audio=sum(example.seconds for batch in step for example in batch),
            figures=torch.stack([loss, gradient, lost]),
            losses=losses,
            lost={name: error for batch in parts.values() for name, error in batch.lost.items()},
        )

    def _gradients(self, parts: Mapping[int, Batch], tokens: int) -> tuple[Tensor, list[tuple[list[str], Tensor]]]:
        """Add up the gradients of some batches as if they were one.

        Returns:
            Their loss a token, float64, and the ids and (batch,) losses of each.
        """
        total, named = torch.zeros((), dtype=torch.float64, device=self.group.device), []
        for part, batch in parts.items():
            if not batch.ids:  # nothing of it could be read
                continue
            # Reseeded, so that dropout is a function of (seed, step, part) and no generator state has to be kept.
            torch.manual_seed(torch_seed(self.config.train.seed, self.progress.step, part, "dropout"))
            losses = self._losses(batch)
            loss = losses.sum() / tokens
            loss.backward()
            total += loss.detach()
            named.append((batch.ids, losses.detach()))
        return total, named

    def _losses(self, batch: Batch) -> Tensor:
        """The loss of each example of a batch, as the settings want it."""
        settings = self.config.train
        weights = settings.consistency, settings.intermediate, settings.intermediate_weight
        return batch_losses(self.model, batch, self.bf16, *weights)

    def _try_largest(self, journal: Journal) -> None:
        """What the largest batches need, thrown away: what does not fit in memory shows now, not at night.

        Before the first checkpoint, so that the same folder takes other settings.

        Raises:
            TrainingError: It does not fit.
        """
        plan = epoch_plan(self.training.items, self.config, self.config.train.seed, self.progress.epoch)
        padding = 100 * padding_share(plan, self.config)
        journal.say(f"{len(plan)} batches per epoch, {padding:.0f} % of their frames padding")
        largest = largest_batch(plan, self.config)
        buffers = {name: buffer.clone() for name, buffer in self.model.named_buffers()}
        try:
            for batch in self.training.batches([largest], self.progress.epoch):
                self._gradients({0: batch}, len(batch.targets))
            self.optimizer.zero_grad()
            largest = largest_batch(self.validation_plan, self.config)
            with torch.inference_mode():
                for batch in self.validation.batches([largest], None):
                    on_device = batch.to(self.group.device)
                    self.model(on_device.waveforms, on_device.lengths)
            for name, buffer in self.model.named_buffers():
                buffer.copy_(buffers[name])  # running statistics would tell how often a run was resumed
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            seconds = max(one.seconds for one in largest)
            raise TrainingError(
                f"the largest batch ({len(largest)} examples of up to {seconds:.1f} s) does not fit in memory: lower "
                "batches.max_frames, and raise train.accumulate by the same factor to keep the effective batch size"
            ) from None

    def _finish_epoch(self, journal: Journal) -> None:
        """Validate, keep the model if it is the best so far, and go to the start of the next epoch."""
        progress, settings = self.progress, self.config.train
        with applied(self.average.weights, self.model) if self.average else nullcontext():
            result = self._validate()
            best = self.keeper.take_epoch(result)
        loss = progress.loss / progress.epoch_step
        figures = {"step": progress.step, "epoch": progress.epoch + 1, "loss": loss, "seconds": progress.seconds}
        journal.epoch(figures | vars(result) | {"best": best})
        if settings.schedule == "plateau" and progress.epoch + 1 > settings.warmup * settings.epochs:
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
        self.kept = self.progress.step
