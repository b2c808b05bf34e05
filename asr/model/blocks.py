"""What stands before, between and above the LSTM layers: convolutions, normalisation, hidden layers, dropout.

Padding is zero before and after every convolution, and no block lets it into anything that is averaged.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from asr.config import Conv2dConfig, ConvConfig, ModelConfig
from asr.model.dropout import Dropout
from asr.model.masking import valid_mask, zero_padding

_CHUNK = 128  # steps of a two-dimensional convolution at a time on a processor; 64 to 256 take alike
_MOMENTUM = 0.1  # of a batch in batch normalisation's running statistics
_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "gelu": nn.GELU,
    "clipped-relu": partial(nn.Hardtanh, 0.0, 20.0),  # Hannun et al. 2014, "Deep Speech", section 2
}


class Convolution(nn.Module):
    """A convolution over time, then activation, normalisation and dropout; padding stays zero before and after it."""

    def __init__(self, inputs: int, conv: ConvConfig, config: ModelConfig) -> None:
        super().__init__()
        self.stride = conv.stride
        self.conv = nn.Conv1d(inputs, conv.channels, conv.kernel, conv.stride, padding=conv.kernel // 2)
        self.after = After(conv.channels, config, activation=True)

    def forward(self, values: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, frames, inputs), zero beyond `lengths` -> (batch, steps, channels), likewise, and their lengths."""
        values = self.conv(values.transpose(1, 2)).transpose(1, 2)
        lengths = shortened(lengths, self.stride)
        return zero_padding(self.after(values, self.after.valid(lengths, values.shape[1])), lengths), lengths


class Convolution2d(nn.Module):
    """A convolution over time and bands, then as `Convolution`; one weight is used at every band.

    Attributes:
        bands: How many come out of it.
    """

    def __init__(self, inputs: int, bands: int, conv: Conv2dConfig, config: ModelConfig) -> None:
        super().__init__()
        self.stride = conv.stride[0]
        self.bands = -(-bands // conv.stride[1])
        self.padding = conv.kernel[0] // 2  # of time, which `_convolved` lays itself
        self.conv = nn.Conv2d(inputs, conv.channels, conv.kernel, conv.stride, (0, conv.kernel[1] // 2))
        self.after = After(conv.channels, config, activation=True)

    def forward(self, values: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, frames, bands, inputs), zero beyond `lengths` -> (batch, steps, bands, channels), and the lengths."""
        values = self._convolved(values)
        lengths = shortened(lengths, self.stride)
        return zero_padding(self.after(values, self.after.valid(lengths, values.shape[1])), lengths), lengths

    def _convolved(self, values: Tensor) -> Tensor:
        """(batch, frames, bands, inputs) -> (batch, steps, bands, channels); on a processor `_CHUNK` steps at a time.

        oneDNN copies every patch of an example before it multiplies, two gigabytes for 18 s of speech in Deep Speech 2;
        beyond that it falls back on a reference implementation a hundred times as slow.
        """
        values = functional.pad(values, (0, 0, 0, 0, self.padding, self.padding)).permute(0, 3, 1, 2)
        size = self.conv.kernel_size[0]
        steps = (values.shape[2] - size) // self.stride + 1
        chunk = _CHUNK if values.device.type == "cpu" else steps
        parts = []
        for start in range(0, steps, chunk):
            last = min(start + chunk, steps) - 1
            parts.append(self.conv(values[:, :, start * self.stride : last * self.stride + size]))
        return torch.cat(parts, 2).permute(0, 2, 3, 1)


class Between(nn.Module):
    """What follows an LSTM layer: a projection, normalisation, a hidden layer, as far as the config has them.

    Args:
        width: Outputs of the LSTM layer.
        dense: Width of the hidden layer; 0: none.
        config: Of the model.

    Attributes:
        outputs: The width that leaves it.
    """

    def __init__(self, width: int, dense: int, config: ModelConfig) -> None:
        super().__init__()
        # A linear layer, not nn.LSTM's proj_size, which leaves oneDNN's fast path.
        self.projection = nn.Linear(width, config.projection) if config.projection else None
        self.outputs = config.projection or width
        self.after = After(self.outputs, config, activation=False)
        self.dense = nn.Linear(self.outputs, dense) if dense else None
        self.dense_after = After(dense, config, activation=True) if dense else None
        self.outputs = dense or self.outputs

    def forward(self, values: Tensor, valid: Tensor | None) -> Tensor:
        """(steps, batch, width) -> (steps, batch, outputs); for `valid` see `After`."""
        values = values if self.projection is None else self.projection(values)
        values = self.after(values, valid)
        if self.dense is None or self.dense_after is None:
            return values
        return self.dense_after(self.dense(values), valid)  # type: ignore[no-any-return]


class After(nn.Module):
    """Activation, normalisation and dropout, as far as the config has them.

    Layer normalisation stands after the activation, batch normalisation before it, each as in its field's models.
    """

    def __init__(self, width: int, config: ModelConfig, activation: bool) -> None:
        super().__init__()
        self.activation = _ACTIVATIONS[config.activation]() if activation else nn.Identity()
        self.norm: nn.Module = nn.Identity()
        if config.norm != "none":
            self.norm = nn.LayerNorm(width) if config.norm == "layer" else BatchNorm(width)
        self.dropout = Dropout(config.dropout)

    def valid(self, lengths: Tensor, steps: int) -> Tensor | None:
        """Which of (batch, steps) are real, where that has to be known."""
        return valid_mask(lengths, steps) if isinstance(self.norm, BatchNorm) else None

    def forward(self, values: Tensor, valid: Tensor | None) -> Tensor:
        """Values (..., width) to the same; `valid` says which are real: booleans for their first two dimensions."""
        if isinstance(self.norm, BatchNorm):
            assert valid is not None
            values = self.activation(self.norm(values, valid))
        else:
            values = self.norm(self.activation(values))
        return self.dropout(values)  # type: ignore[no-any-return]


class BatchNorm(nn.Module):
    """Batch normalisation (Ioffe & Szegedy 2015) in which padding has no part.

    In training an utterance is normalised with what else is in its batch; in recognition with running statistics, so
    that it gets the same values alone and in any batch.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))

    def forward(self, values: Tensor, valid: Tensor) -> Tensor:
        """Values (first, second, ..., width), normalised where `valid` (first, second) is true, and zero elsewhere."""
        real = values[valid]
        flat = real.reshape(-1, real.shape[-1])
        by_batch = self.training and len(flat) > 1  # one value has no variance
        flat = functional.batch_norm(
            flat, self.running_mean, self.running_var, self.weight, self.bias, by_batch, _MOMENTUM
        )
        normalised = values.new_zeros(values.shape, dtype=flat.dtype)
        normalised[valid] = flat.view_as(real)
        return normalised


def shortened(lengths: Tensor, stride: int) -> Tensor:
    """Lengths (batch,) after a convolution with this stride."""
    return torch.div(lengths + stride - 1, stride, rounding_mode="floor")
