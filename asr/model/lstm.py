"""A bidirectional LSTM layer that never sees padding and never leaves the fast path.

PyTorch's own way to keep padding out of the backward direction is a packed sequence, which on a CPU leaves oneDNN for
a path several times slower (benchmarks/lstm.py). Here both directions run forward in time, and at the same time, over
padded tensors: the second one on each sequence reversed by its own length, so that padding comes last in both and no
valid step depends on it. Where it saves enough, time is cut into pieces, and sequences that have ended are left out of
the later ones.
"""

from __future__ import annotations

import os
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from asr.model.two_threads import run_in_two_threads

# oneDNN keeps what it compiled for each shape it met, 3 MB each and a thousand of them. Every batch has a shape of its
# own, compiling it costs a tenth of its first step, and gigabytes of memory are worth more. Read at the first use.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "32")

# A piece more costs its start; it must save this share of the steps that one rectangle would compute.
_WORTH_A_PIECE = 0.03


class Piece(NamedTuple):
    """The steps from the end of the piece before to `end`, of the first `batch` sequences."""

    end: int
    batch: int


class Layout(NamedTuple):
    """How the layers go through a batch.

    Attributes:
        rows: The `reversal` of its sequences.
        pieces: What is computed of its rectangle; see `cut`.
    """

    rows: Tensor
    pieces: list[Piece]

    @classmethod
    def of(cls, lengths: Tensor, steps: int) -> Layout:
        """The layout of a batch of (batch,) lengths, padded to so many steps."""
        # On a GPU the lengths would have to be waited for, and a smaller batch is hardly quicker. In bfloat16 a piece's
        # start costs more than it saves: a tenth of the speed in benchmarks/lstm.py, where float32 gains as much.
        whole = lengths.device.type != "cpu" or torch.is_autocast_enabled("cpu")
        return cls(reversal(lengths, steps), [Piece(steps, len(lengths))] if whole else cut(lengths.tolist(), steps))


def cut(lengths: list[int], steps: int) -> list[Piece]:
    """Pieces of a rectangle of steps x sequences that hold all valid steps and less padding.

    Sequences are left out from the last on, so the longest should come first; in another order pieces are right and
    save less.
    """
    ends = list(lengths)  # until when each sequence, or one behind it, goes on
    for place in range(len(ends) - 2, -1, -1):
        ends[place] = max(ends[place], ends[place + 1])
    worth = _WORTH_A_PIECE * steps * len(ends)

    def split(start: int, end: int, batch: int) -> list[Piece]:
        """The cut that saves most, then those within what is left and right of it."""
        places = [place for place in range(batch) if start < ends[place] < end]
        place = max(places, key=lambda place: (end - ends[place]) * (batch - place), default=None)
        if place is None or (end - ends[place]) * (batch - place) < worth:
            return [Piece(end, batch)]
        return split(start, ends[place], batch) + split(ends[place], end, place)

    return split(0, steps, len(ends))


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

    def forward(self, values: Tensor, layout: Layout) -> Tensor:
        """Run the layer.

        Args:
            values: (steps, batch, inputs), time first as the LSTM kernels want it.
            layout: Of this batch.

        Returns:
            (steps, batch, outputs); beyond a sequence's length the values mean nothing.
        """
        directions, inputs = (self.forwards, self.backwards), (values, _reverse(values, layout.rows))
        ahead, back = run_in_two_threads(partial(_run, pieces=layout.pieces), directions, inputs)
        back = _reverse(back, layout.rows)
        return ahead + back if self.merge == "sum" else torch.cat((ahead, back), dim=-1)


def _run(lstm: nn.LSTM, values: Tensor, pieces: list[Piece]) -> Tensor:
    """A forward-running LSTM over the pieces of a batch; what is in none of them becomes zero."""
    if values.is_cuda and torch.is_autocast_enabled("cuda"):
        # Autocast runs cuDNN's LSTM in float16, whichever type it is set to (torch 2.11, ATen/cudnn/AutocastRNN.cpp).
        # Gradients there vanish, since nothing scales the loss. In float32 with TF32 they do not.
        with torch.autocast("cuda", enabled=False):
            return _run(lstm, values.float(), pieces)
    if len(pieces) == 1:
        return lstm(values)[0]  # type: ignore[no-any-return]
    outputs, state, start = [], None, 0
    for end, batch in pieces:
        if state is not None:
            state = (state[0][:, :batch].contiguous(), state[1][:, :batch].contiguous())
        if batch:
            part, state = lstm(values[start:end, :batch].contiguous(), state)
        else:
            part = values.new_zeros(end - start, 0, lstm.hidden_size)
        outputs.append(functional.pad(part, (0, 0, 0, values.shape[1] - batch)))
        start = end
    return torch.cat(outputs)
