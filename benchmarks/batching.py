"""Padding, and how far step times spread, for three ways of making batches of real recordings.

    python benchmarks/batching.py DATA [--conf librispeech] [--steps N] [--threads N]

DATA is a folder that `asr prepare` made. The three: random order; strictly sorted by length, the same batches in every
epoch; ours, sorted with 10 % of jitter, other batches in each epoch. All are cut at the config's bound on padded
frames. The padding is that of the whole epoch; step times are those of N batches of each (forward, CTC, backward,
optimiser), taken in turn.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from contestants import random_plan, sorted_plan, training_arguments

from asr.data.plan import epoch_plan, padding_share
from asr.device import uses_bf16
from asr.model.acoustic import AcousticModel
from asr.train.losses import batch_losses
from asr.train.schedule import make_optimizer


def main() -> None:
    arguments, config, training, vocabulary = training_arguments(__doc__, steps=24)
    plans = {
        "random": random_plan(training.items, config, seed=1),
        "sorted": sorted_plan(training.items, config, seed=1),
        "ours": epoch_plan(training.items, config, seed=1, epoch=1),
    }
    torch.manual_seed(1)
    model = AcousticModel(config, vocabulary)
    optimizer = make_optimizer(model, config.train)
    bf16 = uses_bf16(config.train.bf16, torch.device("cpu"))
    seconds: dict[str, list[float]] = {name: [] for name in plans}
    for number in range(arguments.steps + 1):
        for name, plan in plans.items():
            (batch,) = training.batches([plan[number]], epoch=1)
            start = time.perf_counter()
            (batch_losses(model, batch, bf16).sum() / len(batch.targets)).backward()
            optimizer.step()
            optimizer.zero_grad()
            if number:  # the first is a warm-up
                seconds[name].append(time.perf_counter() - start)

    print(f"{arguments.data.name}, {arguments.conf}, {arguments.steps} steps each, {arguments.threads} threads")
    print(
        f"{'batches':8}{'number':>8}{'padding':>9}{'median s':>10}{'5 %':>8}{'95 %':>8}{'spread':>8}{'audio s/s':>11}"
    )
    for name, plan in plans.items():
        low, median, high = np.quantile(seconds[name], [0.05, 0.5, 0.95])
        audio = sum(example.seconds for batch in plan[1 : arguments.steps + 1] for example in batch)
        print(
            f"{name:8}{len(plan):8}{100 * padding_share(plan, config):7.1f} %{median:10.2f}{low:8.2f}{high:8.2f}"
            f"{high / low:7.2f}x{audio / sum(seconds[name]):11.1f}"
        )


if __name__ == "__main__":
    main()
