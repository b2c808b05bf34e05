"""The learning rate and the optimiser."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from asr.config import TrainConfig
from asr.errors import TrainingError


def learning_rate(progress: float, config: TrainConfig, drops: int = 0) -> float:
    """The learning rate when a share `progress` (0 to 1) of the training is done.

    After a linear rise over the warm-up:

    - cosine: half a cosine down to `final_lr` of the peak (Loshchilov & Hutter 2017, without restarts);
    - one-cycle: the same, but it rises by half a cosine too, from a 25th of the peak (Smith & Topin 2018);
    - noam: falls with the inverse square root of the steps (Vaswani et al. 2017, section 5.3);
    - plateau: stays, but is multiplied by `plateau_factor` each time validation stops getting better, down to
      `final_lr` of the peak;
    - constant: stays.

    A function of progress, not of a step count, since epochs differ a little in their number of batches.

    Args:
        progress: Share of the training that is done.
        config: The settings.
        drops: How often validation has stopped getting better.
    """
    rise = progress / config.warmup if config.warmup else 1.0
    if rise < 1:
        if config.schedule == "one-cycle":
            return config.lr * (0.04 + 0.96 * _half_cosine(rise))
        return config.lr * min(max(rise, 1e-4 / config.warmup), 1.0)
    if config.schedule in ("cosine", "one-cycle"):
        descent = (progress - config.warmup) / (1 - config.warmup)
        return config.lr * (1 - (1 - config.final_lr) * _half_cosine(min(descent, 1.0)))
    if config.schedule == "noam":
        return config.lr / math.sqrt(max(rise, 1.0))
    if config.schedule == "plateau":
        return config.lr * max(config.plateau_factor**drops, config.final_lr)
    return config.lr


def _half_cosine(share: float) -> float:
    """From 0 to 1, slow at both ends."""
    return (1 - math.cos(math.pi * share)) / 2


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """The optimiser of what is not frozen, with weight decay on matrices only.

    AdamW (Loshchilov & Hutter 2019), Adam (Kingma & Ba 2015; weight decay is added to its gradient), or stochastic
    gradient descent with momentum.

    Raises:
        TrainingError: All is frozen, or a name in `freeze` fits nothing.
    """
    freeze(model, config.freeze)
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not learning:
        raise TrainingError("train.freeze leaves nothing to train")
    groups = [
        {"params": [one for one in learning if one.dim() > 1], "weight_decay": config.weight_decay},
        {"params": [one for one in learning if one.dim() <= 1], "weight_decay": 0.0},
    ]
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, fused=True)
    # Fused on every device: on a CPU, too, it is several times as fast as the loop over tensors. Its last bits differ
    # from that loop's, so to go back to it would change all results a little.
    adam = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return adam(groups, lr=config.lr, betas=(0.9, 0.98), fused=True)


def freeze(model: nn.Module, names: Iterable[str]) -> None:
    """Let parts of a model keep their weights.

    Args:
        model: The model.
        names: Parameters or modules, as `subsample` or `layers.0`.

    Raises:
        TrainingError: A name fits nothing.
    """
    parameters = dict(model.named_parameters())
    for name in names:
        fitting = [key for key in parameters if key == name or key.startswith(f"{name}.")]
        if not fitting:
            parts = dict.fromkeys(
                ".".join(key.split(".")[: 2 if key.startswith("layers") else 1]) for key in parameters
            )
            raise TrainingError(f"train.freeze: the model has no {name!r}; it has {', '.join(parts)}")
        for key in fitting:
            parameters[key].requires_grad_(False)
