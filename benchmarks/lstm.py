"""The LSTM stack against `nn.LSTM` of the same shape, packed and over the padding, forward and backward, in one run.

    python benchmarks/lstm.py [--threads N]

Prints for each shape the median seconds of packed `nn.LSTM` and of the same over the padding (whose backward direction
begins in the padding: faster, and its result depends on the batch), in float32, and of ours in float32 and bfloat16; by
how much ours is faster than packed in both, and than the padded one of the same precision (nan where the processor has
no bfloat16); and the share of this machine's measured matrix-multiplication peak that ours reaches in float32, counting
the operations of valid steps only. The geometric means over the shapes come last.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable
from functools import partial

import torch
from measure import median_seconds
from torch import Tensor, nn

from asr.device import uses_bf16
from asr.model.lstm import BidirectionalLSTM, Layout

SHAPES = ((32, 130, 160), (32, 115, 320), (16, 300, 256))  # utterances, longest in steps, cells in each direction
LAYERS = 3


class Stack(nn.Module):
    """Our layers, one on the other."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        widths = [inputs] + [2 * hidden] * (LAYERS - 1)
        self.layers = nn.ModuleList(BidirectionalLSTM(width, hidden) for width in widths)

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        """(steps, batch, inputs) and (batch,) lengths -> (steps, batch, 2 x hidden)."""
        layout = Layout.of(lengths, len(values))
        for layer in self.layers:
            values = layer(values, layout)
        return values


def gemm_peak(dtype: torch.dtype, size: int = 2048, device: torch.device | None = None) -> float:
    """Operations a second of a large matrix multiplication: the most that this machine gives."""
    left, right = (torch.randn(size, size, dtype=dtype, device=device) for _ in range(2))

    def multiply() -> None:
        left @ right
        if device is not None and device.type == "cuda":
            torch.cuda.synchronize(device)

    return 2 * size**3 / median_seconds({"gemm": multiply})["gemm"]


def operations(valid_steps: int, inputs: int, hidden: int) -> float:
    """Multiplications and additions of the stack's matrix products: forward once, backward twice that."""
    widths = [inputs] + [2 * hidden] * (LAYERS - 1)
    return sum(3 * 2 * 2 * valid_steps * 4 * hidden * (width + hidden) for width in widths)


def measure(batch: int, longest: int, hidden: int) -> dict[str, float]:
    """Median seconds of the contestants on one shape, and our float32 operations a second."""
    generator = torch.Generator().manual_seed(1)
    lengths = torch.randint(longest // 2, longest + 1, (batch,), generator=generator).sort(descending=True).values
    lengths[0] = longest
    values = torch.randn(longest, batch, hidden, generator=generator)
    theirs, ours = nn.LSTM(hidden, hidden, LAYERS, bidirectional=True), Stack(hidden, hidden)

    def packed() -> None:
        outputs, _ = theirs(nn.utils.rnn.pack_padded_sequence(values, lengths))
        nn.utils.rnn.pad_packed_sequence(outputs)[0].sum().backward()

    def run(layers: Callable[[], Tensor], bf16: bool) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            outputs = layers()
        outputs.float().sum().backward()

    runs: dict[str, Callable[[], None]] = {"packed": packed}
    kinds = [("32", False), *([("16", True)] if uses_bf16("auto", values.device) else [])]  # oneDNN has no other
    for name, bf16 in kinds:
        runs[f"padded {name}"] = partial(run, lambda: theirs(values)[0], bf16)
        runs[f"ours {name}"] = partial(run, lambda: ours(values, lengths), bf16)
    times = median_seconds(runs, rounds=5)
    times = {"padded 16": math.nan, "ours 16": math.nan} | times
    return times | {"rate": operations(int(lengths.sum()), hidden, hidden) / times["ours 32"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="processor threads")
    threads = parser.parse_args().threads
    torch.set_num_threads(threads)
    peak = gemm_peak(torch.float32)
    print(f"{threads} threads; matrix product in float32: {peak / 1e9:.0f} G operations/s")
    pairs = (("packed", "ours 32"), ("packed", "ours 16"), ("padded 32", "ours 32"), ("padded 16", "ours 16"))
    names = ("packed", "padded 32", "ours 32", "padded 16", "ours 16")
    heads = [*(f"{name} s" for name in names), "pack/32", "pack/16", "pad/32", "pad/16", "of peak"]
    print(f"{'batch x steps x hidden':>24} " + " ".join(f"{head:>11}" for head in heads))
    found: list[list[float]] = []
    for shape in SHAPES:
        result = measure(*shape)
        found.append([*(result[theirs] / result[ours] for theirs, ours in pairs), 100 * result["rate"] / peak])
        seconds = " ".join(f"{result[name]:11.3f}" for name in names)
        print(f"{' x '.join(map(str, shape)):>24} {seconds} " + " ".join(f"{value:11.2f}" for value in found[-1]))
    means = [math.exp(sum(map(math.log, values)) / len(values)) for values in zip(*found, strict=True)]
    print(f"{'geometric mean':>24} {'':59} " + " ".join(f"{value:11.2f}" for value in means))


if __name__ == "__main__":
    main()
