"""What it would bring to compute an LSTM layer's two directions at once, a thread each, instead of in turn.

    python benchmarks/overlap.py

Prints for each shape the median seconds, forward and backward, of both directions in turn on one thread, in turn on two
threads, and at once on a thread each; then how much faster the third is than the second. It is an upper bound: nothing
brings the directions together or apart again, and backward passes run in threads of their own, where autograd computes
all of a CPU's in one.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import torch
from lstm import SHAPES
from measure import median_seconds
from torch import nn


def measure(batch: int, steps: int, hidden: int, bf16: bool) -> dict[str, float]:
    """Median seconds of the three ways."""
    directions = [nn.LSTM(2 * hidden, hidden) for _ in range(2)]
    values, gradient = torch.randn(steps, batch, 2 * hidden), torch.randn(steps, batch, hidden)

    def run(direction: nn.LSTM) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            outputs = direction(values)[0]
        outputs.backward(gradient.to(outputs.dtype))

    def in_turn(threads: int) -> None:
        torch.set_num_threads(threads)
        for direction in directions:
            run(direction)

    def at_once() -> None:
        with ThreadPoolExecutor(2, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            list(pool.map(run, directions))

    return median_seconds({"one": lambda: in_turn(1), "two": lambda: in_turn(2), "once": at_once}, rounds=9)


def main() -> None:
    print(f"{'batch x steps x hidden':>24} {'':>8} {'1 thread':>9} {'2 threads':>9} {'at once':>9} {'faster':>9}")
    for shape in SHAPES:
        for bf16 in (False, True):
            took = measure(*shape, bf16)
            print(
                f"{' x '.join(map(str, shape)):>24} {'bfloat16' if bf16 else 'float32':>8} {took['one']:9.3f} "
                f"{took['two']:9.3f} {took['once']:9.3f} {took['two'] / took['once']:8.2f}x"
            )


if __name__ == "__main__":
    main()
