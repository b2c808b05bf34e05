"""The training loop, to be read from top to bottom."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_

from asr.config import Config
from asr.data.dataset import Batch, SpeechData
from asr.data.plan import epoch_plan, plain_plan
from asr.data.randomness import torch_seed
from asr.errors import TrainingError
from asr.model.acoustic import AcousticModel
from asr.model.masking import zero_padding
from asr.text import Tokenizer
from asr.train.checkpoint import Progress, save_checkpoint
from asr.train.journal import Journal
from asr.train.schedule import learning_rate
from asr.train.validate import Validation, validate


class Trainer:
    """A model in training: what it needs, and where it stands.

    Args:
        model: On the device it trains on.
        tokenizer: Of the targets.
        optimizer: Of the model's parameters.
        training: The training set.
        validation: The validation set.
        progress: Where to go on from.
        folder: The run folder.
        data_id: Hash of the training set, kept in each checkpoint.
        keep_best: Called with a validation that is the best so far; writes the model file.
    """

    def __init__(
        self,
        model: AcousticModel,
        tokenizer: Tokenizer,
        optimizer: torch.optim.Optimizer,
        training: SpeechData,
        validation: SpeechData,
        progress: Progress,
        folder: Path,
        data_id: str,
        keep_best: Callable[[Validation, Progress], None],
    ) -> None:
        self.model = model
        self.config: Config = model.config
        self.tokenizer = tokenizer
        self.optimizer = optimizer
        self.training = training
        self.validation = validation
        self.validation_plan = plain_plan(validation.items, self.config)
        self.progress = progress
        self.folder = folder
        self.data_id = data_id
        self.keep_best = keep_best
        self.device = next(model.parameters()).device
        self.bf16 = uses_bf16(self.config.train.bf16, self.device)

    def fit(self, journal: Journal) -> None:
        """Train to the last epoch, or until validation has not improved for `patience` epochs."""
        settings = self.config.train
        while self.progress.epoch < settings.epochs:
            if settings.patience and self.progress.epoch - 1 - self.progress.best_epoch >= settings.patience:
                journal.say(f"no better validation in {settings.patience} epochs: stopped early")
                break
            self._train_epoch(journal)
            self._finish_epoch(journal)

    def _train_epoch(self, journal: Journal) -> None:
        """Train on what is left of the epoch under way."""
        progress, settings = self.progress, self.config.train
        plan = epoch_plan(self.training.items, self.config, settings.seed, progress.epoch)
        clock = time.monotonic()
        for batch in self.training.batches(plan[progress.batch :], progress.epoch):
            done = (progress.epoch + progress.batch / len(plan)) / settings.epochs
            rate = learning_rate(done, settings)
            loss, gradient = self._step(batch.to(self.device), rate)

            progress.batch += 1
            progress.step += 1
            progress.loss += loss
            took, clock = time.monotonic() - clock, time.monotonic()
            progress.seconds += took
            audio = int(batch.lengths.sum()) / self.config.features.sample_rate
            figures = {"step": progress.step, "epoch": progress.epoch + 1, "loss": loss, "lr": rate}
            figures |= {"gradient": gradient, "audio_per_second": audio / took, "seconds": progress.seconds}
            journal.step(figures, done, left=progress.seconds / max(done, 1e-3) * (1 - done))
            if progress.step % settings.checkpoint_steps == 0 and progress.batch < len(plan):
                self._save()  # not at an epoch's end, which is saved once it is validated and logged

    def _step(self, batch: Batch, rate: float) -> tuple[float, float]:
        """One optimiser step; returns the loss a token and the length of the gradient before clipping."""
        # Reseeded each step, so that dropout is a function of (seed, step) and no generator state has to be kept.
        torch.manual_seed(torch_seed(self.config.train.seed, self.progress.step, "dropout"))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        losses = batch_losses(self.model, batch, self.bf16, self.config.train.consistency)
        if not torch.isfinite(losses).all():
            bad = [name for name, loss in zip(batch.ids, losses.tolist(), strict=True) if not abs(loss) < float("inf")]
            raise TrainingError(self._diverged(f"the loss of {', '.join(bad[:5])} is not finite"))
        loss = losses.sum() / batch.target_lengths.sum()
        self.optimizer.zero_grad()
        loss.backward()
        gradient = clip_grad_norm_(self.model.parameters(), self.config.train.clip)
        if not torch.isfinite(gradient):
            raise TrainingError(self._diverged(f"the gradient of {', '.join(batch.ids[:5])} is not finite"))
        self.optimizer.step()
        return float(loss.detach()), float(gradient)

    def _finish_epoch(self, journal: Journal) -> None:
        """Validate, keep the model if it is the best so far, and write a checkpoint at the start of the next epoch."""
        progress = self.progress
        result = validate(self.model, self.tokenizer, self.validation, self.validation_plan, self.device)
        best = result.cer < progress.best_cer
        if best:
            progress.best_epoch, progress.best_cer = progress.epoch, result.cer
            self.keep_best(result, progress)
        loss = progress.loss / progress.batch
        figures = {"step": progress.step, "epoch": progress.epoch + 1, "loss": loss, "seconds": progress.seconds}
        journal.epoch(figures | vars(result) | {"best": best})
        progress.epoch, progress.batch, progress.loss = progress.epoch + 1, 0, 0.0
        self._save()

    def _save(self) -> None:
        save_checkpoint(self.folder / "checkpoints", self.progress, self.model, self.optimizer, self.data_id)

    def _diverged(self, what: str) -> str:
        return (
            f"step {self.progress.step + 1}: {what}. Listen to these recordings, and try `asr check` (a text too "
            "long for its audio has no finite loss); if they are sound, lower train.lr or train.clip, or set "
            "train.bf16=off. The run can go on from its last checkpoint with --resume."
        )


def batch_losses(model: AcousticModel, batch: Batch, bf16: bool, consistency: float = 0.0) -> Tensor:
    """The loss of each example, (batch,) float32: CTC (Graves et al. 2006), its mean over the views of the batch.

    Two views that differ in masks and tone should be heard as the same: `consistency` times their `disagreement` is
    added (Yao et al. 2025, "CR-CTC: Consistency regularization on CTC for improved speech recognition", section 3.2).
    """
    with torch.no_grad():
        views = []
        for tones, time_masks, mel_masks in zip(batch.tones, batch.time_masks, batch.mel_masks, strict=True):
            features, frames = model.features(batch.waveforms, batch.lengths, tones)
            views.append(blank_out(features, time_masks, mel_masks))
    count = len(views)
    with torch.autocast(batch.waveforms.device.type, torch.bfloat16, enabled=bf16):
        log_probs, steps = model.encode(torch.cat(views), frames.repeat(count))
    targets, target_lengths = batch.targets.repeat(count), batch.target_lengths.repeat(count)
    losses = functional.ctc_loss(log_probs.transpose(0, 1), targets, steps, target_lengths, blank=0, reduction="none")
    loss = losses.view(count, -1).mean(0)
    if count == 1 or not consistency:
        return loss
    one, other = log_probs.chunk(2)
    return loss + consistency * disagreement(one, other, steps[: len(one)])


def disagreement(one: Tensor, other: Tensor, steps: Tensor) -> Tensor:
    """How differently two views of each example are heard: both Kullback-Leibler divergences, halved, over all steps.

    In each, the view that is the target is held constant, so that it pulls and is not pulled.

    Args:
        one: (batch, steps, tokens) log-probabilities.
        other: Those of the other view.
        steps: (batch,) lengths.

    Returns:
        (batch,) nats.
    """
    fixed_one, fixed_other = one.detach(), other.detach()
    divergence = fixed_other.exp() * (fixed_other - one) + fixed_one.exp() * (fixed_one - other)
    return zero_padding(divergence.sum(-1, keepdim=True), steps).sum((1, 2)) / 2


def blank_out(features: Tensor, time_masks: Tensor, mel_masks: Tensor) -> Tensor:
    """SpecAugment: set spans of frames and of mel bands to zero, the mean of normalised features.

    Args:
        features: (batch, frames, mels).
        time_masks: (batch, masks, 2) frames [start, end).
        mel_masks: (batch, masks, 2) bands [start, end).
    """
    time = _covered(time_masks, features.shape[1])[:, :, None]
    mels = _covered(mel_masks, features.shape[2])[:, None, :]
    return features.masked_fill(time | mels, 0.0)


def _covered(spans: Tensor, size: int) -> Tensor:
    """(batch, masks, 2) spans -> (batch, size) booleans: covered by any of them."""
    position = torch.arange(size, device=spans.device)
    covered = (position >= spans[..., :1]) & (position < spans[..., 1:])  # (batch, masks, size)
    return covered.any(1)


def uses_bf16(setting: str, device: torch.device) -> bool:
    """Whether to train in bfloat16: as the setting says, or where the device computes it faster than float32."""
    if setting != "auto":
        return setting == "on"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
