"""Dropout (Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting").

PyTorch draws a float for each value, one after the other, and on a processor with fast matrix products that was a sixth
of a training step. Whether a value is dropped is worth 16 random bits, of which one draw has four.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_LEVELS = 1 << 16


class Dropout(nn.Module):
    """Sets a share of the values to zero in training, and scales the others up so that their mean stays.

    Args:
        share: From 0 to below 1; on a processor it is rounded to 16 bits.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, values: Tensor) -> Tensor:
        """Any shape to the same; drawn from PyTorch's generator of the values' device."""
        if not self.training or not self.share:
            return values
        if values.device.type != "cpu":  # draws in parallel, and fuses what follows
            return functional.dropout(values, self.share)
        dropped = round(self.share * _LEVELS)
        words = torch.empty(-(-values.numel() // 4), dtype=torch.int64).random_(-(1 << 63), None)
        bits = words.view(torch.int16)[: values.numel()].view(values.shape)  # from -_LEVELS / 2 on
        kept = values.new_full((), _LEVELS / (_LEVELS - dropped)) if dropped < _LEVELS else values.new_zeros(())
        return values * torch.where(bits < dropped - _LEVELS // 2, values.new_zeros(()), kept)
