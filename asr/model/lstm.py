"""A bidirectional LSTM layer that never sees padding and never leaves the fast path.

PyTorch's own way to keep padding out of the backward direction is a packed sequence, which on a CPU leaves oneDNN for
a path several times slower (benchmarks/lstm.py). Here both directions run forward in time over padded tensors: the
second one on each sequence reversed by its own length, so that padding comes last in both and no valid step depends on
it.
"""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

# oneDNN keeps what it compiled for each shape it met, 3 MB each and a thousand of them. Every batch has a shape of its
# own, compiling it costs a tenth of its first step, and gigabytes of memory are worth more. Read at the first use.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "32")


def reversal(lengths: Tensor, steps: int) -> Tensor:
    """Row numbers that reverse each sequence by its own length and leave padding in place.

    Args:
        lengths: (batch,) steps of each sequence.
        steps: The padded length.

    Returns:
        (steps x batch,) rows of a time-major tensor flattened over its first two dimensions.
    """
    batch = torch.arange(len(lengths), device=lengths.device)
    time = torch.arange(steps, device=lengths.device)[:, None]
    source = torch.where(time < lengths, lengths - 1 - time, time)
    return (source * len(lengths) + batch).flatten()


class _Reverse(torch.autograd.Function):
    """Reorder rows by a reversal. It is its own inverse, so the gradient takes the same way back: no scatter-add."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        return values.flatten(0, 1).index_select(0, rows).view_as(values)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (rows,) = ctx.saved_tensors
        return gradient.flatten(0, 1).index_select(0, rows).view_as(gradient), None


def _reverse(values: Tensor, rows: Tensor) -> Tensor:
    reversed_values: Tensor = _Reverse.apply(values, rows)  # type: ignore[no-untyped-call]
    return reversed_values


class BidirectionalLSTM(nn.Module):
    """One layer: a forward and a backward LSTM over padded sequences, exact at every valid step.

    Equal to `nn.LSTM(bidirectional=True)` on a packed sequence, with the same weights.
    """

    def __init__(self, inputs: int, hidden: int, merge: str = "concat") -> None:
        super().__init__()
        self.merge = merge
        self.forwards = nn.LSTM(inputs, hidden)
        self.backwards = nn.LSTM(inputs, hidden)
        self.outputs = hidden if merge == "sum" else 2 * hidden

    def forward(self, values: Tensor, rows: Tensor) -> Tensor:
        """Run the layer.

        Args:
            values: (steps, batch, inputs), time first as the LSTM kernels want it.
            rows: The `reversal` of this batch.

        Returns:
            (steps, batch, outputs); beyond a sequence's length the values mean nothing.
        """
        ahead, _ = self.forwards(values)
        reversed_back, _ = self.backwards(_reverse(values, rows))
        back = _reverse(reversed_back, rows)
        return ahead + back if self.merge == "sum" else torch.cat((ahead, back), dim=-1)
