"""Training end to end on real recordings: what a step's time goes into, as commonly written and as here.

    python benchmarks/training.py DATA [--conf librispeech] [--steps N] [--threads N] [--device cuda]

DATA is a folder that `asr prepare` made. Four contestants take turns, one step each, so that a busy machine slows all
alike:

    a  packed nn.LSTM, features in the loader, random batches
    b  the same, our batches of like length
    c  ours, float32
    d  ours, bfloat16 autocast; left out where the device has no bfloat16 of its own

Prints for each the seconds of audio trained a second and the share of its time in loading (reading and augmenting;
for a and b features too), features, forward, CTC, backward and optimiser; then what our LSTM layers alone take of a
step, and the share of this machine's measured matrix-multiplication peak that they reach on these batches, counting
valid steps only. On a GPU every part is waited for, which training does not, so the parts add up to more than its step.
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

import torch
from contestants import PackedModel, random_plan, training_arguments
from lstm import gemm_peak
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_

from asr.config import Config
from asr.data.dataset import SpeechData
from asr.data.plan import Example, Plan, epoch_plan, padding_share
from asr.device import uses_bf16
from asr.model.acoustic import AcousticModel
from asr.model.lstm import BidirectionalLSTM, Layout
from asr.train.losses import spec_augment
from asr.train.run import measure_statistics
from asr.train.schedule import make_optimizer

PARTS = ("loading", "features", "forward", "CTC", "backward", "optimiser")


@dataclass
class Contestant:
    """A model and its batches, and what was measured of it."""

    name: str
    model: AcousticModel
    plan: Plan
    bf16: bool = False
    features_load: bool = False
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    audio: float = 0.0
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    steps: list[float] = field(default_factory=list)

    @contextmanager
    def clocked(self, part: str) -> Iterator[None]:
        """Add the time within to a part."""
        start = time.perf_counter()
        yield
        wait_for(self.device)
        self.seconds[part] += time.perf_counter() - start

    def step(self, training: SpeechData, batch: list[Example], optimizer: torch.optim.Optimizer) -> None:
        """One training step, each part of it on the clock."""
        start = time.perf_counter()
        with self.clocked("loading"):
            (made,) = training.batches([batch], 0, self.device)
            made = made.to(self.device)
        with self.clocked("loading" if self.features_load else "features"), torch.no_grad():
            features, frames = self.model.features(made.waveforms, made.lengths, made.tones[0])
            features = spec_augment(features, made.time_masks[0], made.mel_masks[0])
        with self.clocked("forward"), torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            log_probs, steps = self.model.encode(features, frames)
        with self.clocked("CTC"):
            times = log_probs.transpose(0, 1)
            loss = functional.ctc_loss(times, made.targets, steps, made.target_lengths, reduction="sum")
        with self.clocked("backward"):
            (loss / len(made.targets)).backward()
        with self.clocked("optimiser"):
            clip_grad_norm_(self.model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
        self.audio += sum(example.seconds for example in batch)
        self.steps.append(time.perf_counter() - start)


def wait_for(device: torch.device) -> None:
    """Come back when a device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def lstm_alone(contestant: Contestant, config: Config, steps: int) -> tuple[float, float]:
    """The LSTM layers by themselves on a contestant's batches: median seconds a step, and operations a second."""
    device, seconds, rates = contestant.device, [], []
    for batch in contestant.plan[1 : steps + 1]:
        lengths = torch.tensor([config.steps(example.seconds) for example in batch], device=device)
        longest = int(lengths.max())
        layout, work, taken = Layout.of(lengths, longest), 0.0, 0.0
        for layer in cast("list[BidirectionalLSTM]", list(contestant.model.layers)):
            inputs, hidden = layer.forwards.input_size, layer.forwards.hidden_size
            values = torch.randn(longest, len(batch), inputs, device=device, requires_grad=True)
            wait_for(device)
            start = time.perf_counter()
            with torch.autocast(device.type, torch.bfloat16, enabled=contestant.bf16):
                outputs = layer(values, layout)
            outputs.float().sum().backward()
            wait_for(device)
            taken += time.perf_counter() - start
            work += 3 * 2 * 2 * int(lengths.sum()) * 4 * hidden * (inputs + hidden)
        seconds.append(taken)
        rates.append(work / taken)
    return statistics.median(seconds), statistics.median(rates)


def contestants(config: Config, training: SpeechData, vocabulary: int, device: torch.device) -> list[Contestant]:
    """The four, at the same random weights as far as they have the same; without d where bfloat16 is emulated."""
    ours = epoch_plan(training.items, config, config.train.seed, epoch=0)
    random = random_plan(training.items, config, config.train.seed)
    models: list[AcousticModel] = []
    for kind in (PackedModel, PackedModel, AcousticModel, AcousticModel):
        torch.manual_seed(1)
        models.append(kind(config, vocabulary))
    measure_statistics(models[0], training)
    for model in models[1:]:
        model.set_statistics(models[0].mean, models[0].std)
    for model in models:
        model.to(device)
    four = [
        Contestant("a  packed, random batches", models[0], random, features_load=True, device=device),
        Contestant("b  packed, our batches", models[1], ours, features_load=True, device=device),
        Contestant("c  ours, float32", models[2], ours, device=device),
        Contestant("d  ours, bfloat16", models[3], ours, bf16=True, device=device),
    ]
    return four if uses_bf16("auto", device) else four[:3]


def main() -> None:
    arguments, config, training, vocabulary = training_arguments(__doc__, steps=16, devices=True)
    entrants = contestants(config, training, vocabulary, arguments.device)
    optimizers = [make_optimizer(entrant.model, config.train) for entrant in entrants]
    for number in range(arguments.steps + 1):
        for entrant, optimizer in zip(entrants, optimizers, strict=True):
            entrant.step(training, entrant.plan[number], optimizer)
            if number == 0:  # warm-up, not counted
                entrant.audio, entrant.seconds, entrant.steps = 0.0, defaultdict(float), []

    where = f"{arguments.device}, {arguments.threads} threads"
    print(f"{arguments.data.name}, {arguments.conf}, {arguments.steps} steps each, {where}")
    print(f"{'':26}{'audio s/s':>10}{'of a':>7}{'padding':>9}" + "".join(f"{part:>11}" for part in PARTS))
    rates = [entrant.audio / sum(entrant.seconds.values()) for entrant in entrants]
    for entrant, rate in zip(entrants, rates, strict=True):
        total = sum(entrant.seconds.values())
        shares = "".join(f"{100 * entrant.seconds[part] / total:9.1f} %" for part in PARTS)
        padding = padding_share(entrant.plan[1 : arguments.steps + 1], config)
        print(f"{entrant.name:<26}{rate:10.1f}{rate / rates[0]:6.2f}x{100 * padding:7.1f} %{shares}")
    for entrant, rate in zip(entrants[2:], rates[2:], strict=True):
        print(f"{entrant.name[0]} against b: {rate / rates[1]:.2f}x")
    for entrant in entrants[2:]:
        seconds, rate = lstm_alone(entrant, config, arguments.steps)
        share = seconds / statistics.median(entrant.steps)
        peak = rate / gemm_peak(torch.bfloat16 if entrant.bf16 else torch.float32, device=arguments.device)
        print(f"LSTM layers alone, {entrant.name}: {100 * share:.0f} % of a step, {100 * peak:.0f} % of the peak")


if __name__ == "__main__":
    main()
