"""A training step on noise, of which `memory.py` measures the memory and `sharing.py` the time."""

from __future__ import annotations

from collections.abc import Callable

import torch

from asr.config_file import load_config
from asr.model.acoustic import AcousticModel
from asr.train.schedule import make_optimizer

LETTERS = 10  # in each transcript


def make_step(conf: str, count: int, samples: int, bf16: bool) -> Callable[[], None]:
    """A model of a config, and what takes a step with it: so many utterances of so many samples."""
    config = load_config(conf)
    model = AcousticModel(config, 29)
    optimizer = make_optimizer(model, config.train)
    lengths, letters = torch.full((count,), samples), torch.full((count,), LETTERS)

    def step() -> None:
        with torch.no_grad():
            features, sizes = model.features(torch.randn(count, samples) / 10, lengths)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            log_probs, steps = model.encode(features, sizes)
        targets = torch.randint(1, 29, (count, LETTERS))
        torch.nn.functional.ctc_loss(log_probs.transpose(0, 1), targets, steps, letters).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step
