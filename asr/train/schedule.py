"""The learning rate and the optimiser."""

from __future__ import annotations

import math

import torch
from torch import nn

from asr.config import TrainConfig


def learning_rate(progress: float, config: TrainConfig) -> float:
    """The learning rate when a share `progress` (0 to 1) of the training is done.

    A linear rise, then half a cosine down to `final_lr` of the peak (Loshchilov & Hutter 2017, without restarts). A
    function of progress, not of a step count, since epochs differ a little in their number of batches.
    """
    if progress < config.warmup:
        return config.lr * min(max(progress, 1e-4) / config.warmup, 1.0)
    descent = (progress - config.warmup) / (1 - config.warmup)
    cosine = (1 + math.cos(math.pi * min(descent, 1.0))) / 2
    return config.lr * (config.final_lr + (1 - config.final_lr) * cosine)


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW (Loshchilov & Hutter 2019), with weight decay on matrices only."""
    matrices = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    others = [parameter for parameter in model.parameters() if parameter.dim() <= 1]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, 0.98), fused=True)
