"""Padding, and how it is kept from touching anything: lengths are integers, values beyond them are zero."""

from __future__ import annotations

import torch
from torch import Tensor


def valid_mask(lengths: Tensor, size: int) -> Tensor:
    """Which positions are real: (batch,) lengths -> (batch, size) booleans."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]


def zero_padding(values: Tensor, lengths: Tensor) -> Tensor:
    """Values with everything beyond each length set to zero.

    Args:
        values: (batch, time, ...).
        lengths: (batch,) integers.
    """
    return values.masked_fill(_beyond(values, lengths), 0.0)


def zero_padding_(values: Tensor, lengths: Tensor) -> Tensor:
    """As `zero_padding`, in place: without a copy, for values that nobody else needs as they were."""
    return values.masked_fill_(_beyond(values, lengths), 0.0)


def _beyond(values: Tensor, lengths: Tensor) -> Tensor:
    """Where the padding is, in a shape that goes with the values."""
    mask = ~valid_mask(lengths, values.shape[1])
    return mask.reshape(*mask.shape, *[1] * (values.dim() - 2))
