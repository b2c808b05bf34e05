"""The LSTM stack against packed `nn.LSTM` of the same shape, forward and backward, in one run.

    python benchmarks/lstm.py [--threads N]

Prints for each shape the median seconds of packed `nn.LSTM`, ours in float32 and ours in bfloat16, the ratios, and the
share of this machine's measured matrix-multiplication peak that ours reaches, counting the operations of valid steps
only. The geometric means over the shapes come last.
"""

from __future__ import annotations

import argparse
import math
import os

import torch
from measure import median_seconds
from torch import Tensor, nn

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
    """Median seconds of the three contestants on one shape, and our float32 and bfloat16 operations a second."""
    generator = torch.Generator().manual_seed(1)
    lengths = torch.randint(longest // 2, longest + 1, (batch,), generator=generator).sort(descending=True).values
    lengths[0] = longest
    values = torch.randn(longest, batch, hidden, generator=generator)
    theirs, ours = nn.LSTM(hidden, hidden, LAYERS, bidirectional=True), Stack(hidden, hidden)

    def packed() -> None:
        outputs, _ = theirs(nn.utils.rnn.pack_padded_sequence(values, lengths))
        nn.utils.rnn.pad_packed_sequence(outputs)[0].sum().backward()

    def padded(bf16: bool) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            outputs = ours(values, lengths)
        outputs.float().sum().backward()

    runs = {"packed": packed, "float32": lambda: padded(False), "bfloat16": lambda: padded(True)}
    times = median_seconds(runs, rounds=5)
    work = operations(int(lengths.sum()), hidden, hidden)
    return times | {"rate32": work / times["float32"], "rate16": work / times["bfloat16"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="processor threads")
    threads = parser.parse_args().threads
    torch.set_num_threads(threads)
    peak32, peak16 = gemm_peak(torch.float32), gemm_peak(torch.bfloat16)
    print(f"{threads} threads; matrix product: float32 {peak32 / 1e9:.0f}, bfloat16 {peak16 / 1e9:.0f} G operations/s")
    header = ("packed s", "float32 s", "bf16 s", "float32", "bf16", "of peak")
    print(f"{'batch x steps x hidden':>24} " + " ".join(f"{name:>9}" for name in header))
    faster32, faster16, shares = [], [], []
    for shape in SHAPES:
        result = measure(*shape)
        faster32.append(result["packed"] / result["float32"])
        faster16.append(result["packed"] / result["bfloat16"])
        shares.append(result["rate32"] / peak32)
        print(
            f"{' x '.join(map(str, shape)):>24} {result['packed']:9.3f} {result['float32']:9.3f} "
            f"{result['bfloat16']:9.3f} {faster32[-1]:8.2f}x {faster16[-1]:8.2f}x {100 * shares[-1]:7.0f} %"
        )
    means = [math.exp(sum(map(math.log, values)) / len(values)) for values in (faster32, faster16, shares)]
    print(f"{'geometric mean':>24} {'':29} {means[0]:8.2f}x {means[1]:8.2f}x {100 * means[2]:7.0f} %")


if __name__ == "__main__":
    main()
