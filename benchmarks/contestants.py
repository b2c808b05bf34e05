"""What the benchmarks of training share: real recordings, and the usual model and batches."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from asr.config import Config
from asr.config_file import load_config
from asr.data.dataset import SpeechData
from asr.data.plan import Example, Item, Plan, frames
from asr.model.acoustic import AcousticModel
from asr.model.lstm import BidirectionalLSTM
from asr.train.run import read_data, text_tools
from asr.train.selection import select


def training_arguments(
    doc: str | None, steps: int, devices: bool = False
) -> tuple[argparse.Namespace, Config, SpeechData, int]:
    """The arguments of the command line, and what they name: settings, training set, number of tokens.

    Args:
        doc: What `--help` says.
        steps: How many are measured by default.
        devices: Whether there is a choice of them.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a folder that `asr prepare` made")
    parser.add_argument("--conf", default="librispeech")
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    if devices:
        parser.add_argument("--device", type=torch.device, default="cpu", help="cpu or cuda")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    config = load_config(arguments.conf)
    data = read_data(arguments.data, config)
    normalizer, tokenizer = text_tools(config, [utterance.text for utterance in data.train])
    kept = select(data.train, config, normalizer, tokenizer).kept
    return arguments, config, SpeechData(kept, config, normalizer, tokenizer), len(tokenizer)


class PackedLayer(nn.Module):
    """A bidirectional `nn.LSTM` on packed sequences, in the place of one of our layers."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(inputs, hidden, bidirectional=True)

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        """(steps, batch, inputs) and (batch,) lengths -> (steps, batch, 2 x hidden)."""
        packed = nn.utils.rnn.pack_padded_sequence(values, lengths, enforce_sorted=False)
        outputs, _ = self.lstm(packed)
        return nn.utils.rnn.pad_packed_sequence(outputs, total_length=len(values))[0]


class PackedModel(AcousticModel):
    """Our acoustic model with packed layers."""

    def __init__(self, config: Config, vocabulary: int) -> None:
        super().__init__(config, vocabulary)
        ours = cast("list[BidirectionalLSTM]", list(self.layers))
        self.layers = nn.ModuleList(PackedLayer(layer.forwards.input_size, config.model.hidden) for layer in ours)

    def encode(self, features: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """As `AcousticModel.encode`."""
        values, lengths = features, frames
        for convolution in self.subsample:
            values, lengths = convolution(values, lengths)
        values = values.transpose(0, 1)
        for layer, between in zip(self.layers, self.between, strict=True):
            values = between(layer(values, lengths), None)
        return self.output(values).transpose(0, 1).log_softmax(-1, dtype=torch.float32), lengths


def random_plan(items: Sequence[Item], config: Config, seed: int) -> Plan:
    """Utterances in random order, cut into batches within the same bound on padded frames as ours."""
    rng = np.random.default_rng(seed)
    speeds = rng.uniform(*config.augment.speed, len(items))
    order = rng.permutation(len(items))
    return cut([Example((int(p),), (), float(speeds[p]), items[p].seconds / float(speeds[p])) for p in order], config)


def sorted_plan(items: Sequence[Item], config: Config, seed: int) -> Plan:
    """Utterances strictly from long to short, the same batches in every epoch, in random order."""
    rng = np.random.default_rng(seed)
    order = sorted(range(len(items)), key=lambda place: -items[place].seconds)
    batches = cut([Example((place,), (), 1.0, items[place].seconds) for place in order], config)
    return [batches[place] for place in rng.permutation(len(batches))]


def cut(examples: Sequence[Example], config: Config) -> Plan:
    """Batches within the config's bounds, the examples in the order given."""
    plan: Plan = []
    for example in examples:
        batch = [*plan[-1], example] if plan else []
        longest = max((frames(one.seconds, config) for one in batch), default=0)
        if batch and len(batch) * longest <= config.batches.max_frames and len(batch) <= config.batches.max_utterances:
            plan[-1].append(example)
        else:
            plan.append([example])
    return plan
