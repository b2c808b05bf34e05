"""The forms in which decoders take the log-probabilities of several utterances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from asr.decode.hypothesis import DecodeError

LogProbs = Tensor | npt.NDArray[Any]


def utterances_of(
    log_probs: Sequence[LogProbs] | LogProbs, lengths: Tensor | Sequence[int] | npt.NDArray[Any] | None
) -> list[Tensor]:
    """The valid steps of each utterance, (steps, tokens); nothing is copied, and only shapes are checked.

    Args:
        log_probs: (batch, steps, tokens), or a list of (steps, tokens).
        lengths: (batch,) steps of each row; None: all of them. With a list there is nothing to say.

    Raises:
        DecodeError: Lengths beyond the steps, rows over different tokens, or a batch of another shape.
    """
    if isinstance(log_probs, np.ndarray):
        log_probs = torch.from_numpy(log_probs)
    if isinstance(log_probs, Tensor):
        if log_probs.dim() != 3:
            raise DecodeError(f"a batch must be (batch, steps, tokens), not {tuple(log_probs.shape)}")
        batch, steps, _ = log_probs.shape
        sizes = torch.full((batch,), steps) if lengths is None else torch.as_tensor(lengths).cpu()
        if len(sizes) != batch or bool(((sizes < 0) | (sizes > steps)).any()):
            raise DecodeError(f"lengths must be {batch} numbers of steps, 0 to {steps}, not {sizes.tolist()}")
        log_probs = [row[:size] for row, size in zip(log_probs, sizes.tolist(), strict=True)]
    elif lengths is not None:
        raise DecodeError("lengths are for a padded batch only; a list of utterances has its own")
    rows = [torch.as_tensor(row) for row in log_probs]
    if len({tuple(row.shape[1:]) for row in rows}) > 1:
        raise DecodeError("utterances of one batch must have the same tokens")
    return rows
