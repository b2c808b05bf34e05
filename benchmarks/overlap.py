"""An LSTM layer's two directions at the same time, as `asr.model.two_threads` runs them, against one after the other.

    python benchmarks/overlap.py [--threads N]

Prints for each shape the median seconds, forward and backward, of both directions after each other on one thread, after
each other on all threads, and at the same time on half of the threads each; then how much faster the third is than the
second.
"""

from __future__ import annotations

import argparse
import os
from functools import partial

import torch
from lstm import SHAPES
from measure import median_seconds
from torch import Tensor, nn

from asr.model.two_threads import run_in_two_threads

LARGER = ((16, 330, 256), (36, 330, 256), (36, 330, 320))  # as in training on read English, in one view and in two


def outputs(direction: nn.LSTM, values: Tensor) -> Tensor:
    """What a direction makes of (steps, batch, inputs)."""
    return direction(values)[0]  # type: ignore[no-any-return]


def measure(batch: int, steps: int, hidden: int, bf16: bool, threads: int) -> dict[str, float]:
    """Median seconds of the three ways."""
    directions = nn.LSTM(2 * hidden, hidden), nn.LSTM(2 * hidden, hidden)
    first, second = (torch.randn(steps, batch, 2 * hidden, requires_grad=True) for _ in directions)
    gradient = torch.randn(steps, batch, hidden)

    def run(at_once: bool, threads: int) -> None:
        torch.set_num_threads(threads)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            if at_once:
                heard = run_in_two_threads(outputs, directions, (first, second))
            else:
                heard = outputs(directions[0], first), outputs(directions[1], second)
        torch.autograd.backward(heard, [gradient.to(one.dtype) for one in heard])

    ways = {"one": (False, 1), "all": (False, threads), "once": (True, threads)}
    return median_seconds({name: partial(run, *way) for name, way in ways.items()}, rounds=5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    threads = parser.parse_args().threads
    heads = ("1 thread", f"{threads} threads", "at once", "faster")
    print(f"{'batch x steps x hidden':>24} {'':>8}" + "".join(f"{head:>10}" for head in heads))
    for shape in (*SHAPES, *LARGER):
        for bf16 in (False, True):
            took = measure(*shape, bf16, threads)
            name = f"{' x '.join(map(str, shape)):>24} {'bfloat16' if bf16 else 'float32':>8}"
            print(name + "".join(f"{took[way]:10.3f}" for way in took) + f"{took['all'] / took['once']:9.2f}x")


if __name__ == "__main__":
    main()
