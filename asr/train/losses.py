"""What training minimises: CTC on features blanked out by SpecAugment.

Where the settings want it, of lower layers too, and together with the agreement of two views.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor
from torch.nn import functional

from asr.data.dataset import Batch
from asr.model.acoustic import AcousticModel
from asr.model.masking import zero_padding


def batch_losses(
    model: AcousticModel,
    batch: Batch,
    bf16: bool,
    consistency: float = 0.0,
    intermediate: Collection[int] = (),
    intermediate_weight: float = 0.0,
) -> Tensor:
    """The loss of each example, (batch,) float32: CTC (Graves et al. 2006), its mean over the views of the batch.

    The batch is still on the host, the loss comes where the model is.

    Lower layers should hear something too: with some of them `intermediate`, the mean of their CTC losses has a share
    of `intermediate_weight`, that of the whole model the rest (Lee & Watanabe 2021, "Intermediate loss regularization
    for CTC-based speech recognition").

    Two views that differ in masks and tone should be heard as the same: `consistency` times their `consistency_loss` is
    added (Yao et al. 2025, "CR-CTC: Consistency regularization on CTC for improved speech recognition", section 3.2).
    """
    here = batch.to(model.mean.device)
    with torch.no_grad():
        views = []
        for tones, time_masks, mel_masks in zip(here.tones, here.time_masks, here.mel_masks, strict=True):
            features, frames = model.features(here.waveforms, here.lengths, tones)
            views.append(spec_augment(features, time_masks, mel_masks))
    count = len(views)
    with torch.autocast(here.waveforms.device.type, torch.bfloat16, enabled=bf16):
        log_probs, lower, steps = model.encode_with(torch.cat(views), frames.repeat(count), intermediate)
    targets = here.targets.repeat(count)
    # `ctc_loss` reads lengths on the host, and would wait for a GPU to hand them over. (It waits for it all the same,
    # once for each call, to copy them there; torch 2.11 has no other.)
    lengths = model.step_lengths(batch.lengths).repeat(count), batch.target_lengths.repeat(count)

    def ctc(heard: Tensor) -> Tensor:
        heard = heard.transpose(0, 1)
        losses = functional.ctc_loss(heard, targets, *lengths, blank=0, reduction="none")
        return losses.view(count, -1).mean(0)

    loss = ctc(log_probs)
    if lower:
        mean = torch.stack([ctc(heard) for heard in lower]).mean(0)
        loss = (1 - intermediate_weight) * loss + intermediate_weight * mean
    if count == 1 or not consistency:
        return loss
    one, other = log_probs.chunk(2)
    return loss + consistency * consistency_loss(one, other, steps[: len(one)])


def consistency_loss(one: Tensor, other: Tensor, steps: Tensor) -> Tensor:
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


def spec_augment(features: Tensor, time_masks: Tensor, mel_masks: Tensor) -> Tensor:
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
