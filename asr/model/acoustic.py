"""The acoustic model: log-mel features, convolutions that shorten time, a BLSTM stack, an output layer."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection

import torch
from torch import Tensor, nn

from asr.config import Config, ConvConfig, ModelConfig
from asr.model.features import LogMel, equal_loudness
from asr.model.lstm import BidirectionalLSTM, Layout
from asr.model.masking import zero_padding

_ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "gelu": nn.GELU}


class Convolution(nn.Module):
    """A convolution over time, then activation, normalisation and dropout; padding stays zero before and after it."""

    def __init__(self, inputs: int, conv: ConvConfig, config: ModelConfig) -> None:
        super().__init__()
        self.stride = conv.stride
        self.conv = nn.Conv1d(inputs, conv.channels, conv.kernel, conv.stride, padding=conv.kernel // 2)
        self.after = _after(conv.channels, config, activation=True)

    def forward(self, values: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, frames, inputs), zero beyond `lengths` -> (batch, steps, channels), likewise, and their lengths."""
        values = self.conv(values.transpose(1, 2)).transpose(1, 2)
        lengths = _shortened(lengths, self.stride)
        return zero_padding(self.after(values), lengths), lengths


class AcousticModel(nn.Module):
    """Waveforms to log-probabilities of tokens.

    An utterance gets the same log-probabilities alone and in any batch: padding is zero wherever a convolution could
    reach it, comes last in both LSTM directions, and nothing is averaged over a batch.

    Args:
        config: The run's settings; `features` and `model` are used.
        vocabulary: Number of tokens, blank included.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: Config, vocabulary: int) -> None:
        super().__init__()
        self.config = config
        self.vocabulary = vocabulary
        model = config.model
        self.log_mel = LogMel(config.features)
        self.register_buffer("mean", torch.zeros(config.features.mels))
        self.register_buffer("std", torch.ones(config.features.mels))

        width = config.features.mels
        self.subsample = nn.ModuleList()
        for conv in model.subsample:
            self.subsample.append(Convolution(width, conv, model))
            width = conv.channels
        self.layers = nn.ModuleList()
        self.between = nn.ModuleList()
        for number in range(model.layers):
            layer = BidirectionalLSTM(width, model.hidden, model.merge)
            last = number == model.layers - 1
            block, width = _between(layer.outputs, model.dense_top if last else model.dense, model)
            self.layers.append(layer)
            self.between.append(block)
        self.output = nn.Linear(width, vocabulary)
        _initialise(self)

    @torch.no_grad()
    def set_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Set the mean and standard deviation of each mel band over the training set, both (mels,)."""
        self.mean.copy_(mean)
        self.std.copy_(std)

    def step_lengths(self, lengths: Tensor) -> Tensor:
        """Steps that come out of so many samples: (batch,) -> (batch,), on whatever device the lengths are."""
        lengths = self.log_mel.frame_lengths(lengths)
        for conv in self.config.model.subsample:
            lengths = _shortened(lengths, conv.stride)
        return lengths

    def raw_features(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Log-mel features before normalisation, (batch, frames, mels), and (batch,) frames."""
        if self.config.features.loudness == "equal":
            waveforms = equal_loudness(waveforms, lengths)
        features, frames = self.log_mel(waveforms, lengths)
        return features, frames

    def features(self, waveforms: Tensor, lengths: Tensor, tones: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Normalised log-mel features.

        Args:
            waveforms: (batch, samples).
            lengths: (batch,) samples.
            tones: (batch, mels) to be added before normalisation: augmentation in training.

        Returns:
            (batch, frames, mels), zero beyond their length (the mean of a band), and (batch,) frames.
        """
        features, frames = self.raw_features(waveforms, lengths)
        if tones is not None:
            features = zero_padding(features + tones[:, None], frames)
        if self.config.features.normalize == "corpus":
            features = (features - self.mean) / self.std
        else:
            # The mean removes the microphone; the variance stays the corpus', since a second of speech has too few
            # frames to tell its own. In float64 the sum does not depend on how many zeros of padding are in it.
            mean = features.sum(1, keepdim=True, dtype=torch.float64) / frames[:, None, None]
            features = (features - mean.to(features.dtype)) / self.std
        return zero_padding(features, frames), frames

    def encode(self, features: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities of normalised features; see `forward`.

        Args:
            features: (batch, frames, mels), zero beyond their length.
            frames: (batch,) frames.
        """
        log_probs, _, lengths = self.encode_with(features, frames)
        return log_probs, lengths

    def encode_with(
        self, features: Tensor, frames: Tensor, intermediate: Collection[int] = ()
    ) -> tuple[Tensor, list[Tensor], Tensor]:
        """As `encode`, and what the model would say if it ended after a lower layer.

        What that layer hears skips the layers above and takes the top's way out, the block after it and the output
        layer (as in Lee & Watanabe 2021, "Intermediate loss regularization for CTC-based speech recognition"). It
        always fits, since all LSTM layers are equally wide.

        Args:
            features: (batch, frames, mels), zero beyond their length.
            frames: (batch,) frames.
            intermediate: LSTM layers from 0, the lowest.

        Returns:
            (batch, steps, tokens) log-probabilities, the same after each intermediate layer, and (batch,) steps.
        """
        values, lengths = features, frames
        for convolution in self.subsample:
            values, lengths = convolution(values, lengths)
        values = values.transpose(0, 1)  # time first: (steps, batch, channels)
        layout = Layout.of(lengths, len(values))
        lower = []
        for number, (layer, between) in enumerate(zip(self.layers, self.between, strict=True)):
            heard = layer(values, layout)
            if number in intermediate:
                lower.append(heard)
            values = between(heard)
        return self._log_probs(values), [self._log_probs(self.between[-1](heard)) for heard in lower], lengths

    def _log_probs(self, values: Tensor) -> Tensor:
        """(steps, batch, width) as the top block leaves it -> (batch, steps, tokens)."""
        logits = self.output(values).transpose(0, 1)
        # bfloat16 has 8 bits of mantissa: too few for probabilities that are summed over thousands of paths.
        log_probs: Tensor = logits.log_softmax(-1, dtype=torch.promote_types(logits.dtype, torch.float32))
        return log_probs

    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities of waveforms.

        Args:
            waveforms: (batch, samples) at the config's sample rate.
            lengths: (batch,) samples.

        Returns:
            (batch, steps, tokens) natural logarithms, float32, and (batch,) steps.
        """
        return self.encode(*self.features(waveforms, lengths))


def _shortened(lengths: Tensor, stride: int) -> Tensor:
    """Lengths (batch,) after a convolution with this stride."""
    return torch.div(lengths + stride - 1, stride, rounding_mode="floor")


def _between(width: int, dense: int, config: ModelConfig) -> tuple[nn.Module, int]:
    """What follows an LSTM layer of `width` outputs, and the width that leaves it."""
    parts: list[tuple[str, nn.Module]] = []
    if config.projection:
        # A linear layer, not nn.LSTM's proj_size, which leaves oneDNN's fast path.
        parts.append(("projection", nn.Linear(width, config.projection)))
        width = config.projection
    parts.append(("after", _after(width, config, activation=False)))
    if dense:
        parts += [("dense", nn.Linear(width, dense)), ("dense_after", _after(dense, config, activation=True))]
        width = dense
    return nn.Sequential(OrderedDict(parts)), width


def _after(width: int, config: ModelConfig, activation: bool) -> nn.Module:
    """Activation, layer normalisation and dropout, as far as the config has them."""
    parts: list[tuple[str, nn.Module]] = []
    if activation:
        parts.append(("activation", _ACTIVATIONS[config.activation]()))
    if config.norm == "layer":
        parts.append(("norm", nn.LayerNorm(width)))
    parts.append(("dropout", nn.Dropout(config.dropout)))
    return nn.Sequential(OrderedDict(parts))


def _initialise(model: AcousticModel) -> None:
    """Set the starting weights.

    LSTM: input weights Glorot uniform, recurrent weights orthogonal one gate at a time (Saxe et al. 2014), biases zero
    but for the forget gate's, 1 (Jozefowicz et al. 2015), so that a cell remembers before it has learned what to.
    Convolutions and hidden layers: He normal under a ReLU or GELU, else Glorot. Output layer: Glorot.
    """
    rectified = model.config.model.activation in ("relu", "gelu")
    for module in model.modules():
        if isinstance(module, nn.LSTM):
            _initialise_lstm(module)
        elif isinstance(module, nn.Conv1d | nn.Linear):
            if rectified and module is not model.output:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            else:
                nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


@torch.no_grad()
def _initialise_lstm(lstm: nn.LSTM) -> None:
    into, recurrent, bias_into, bias_recurrent = lstm.parameters()
    for gate in range(4):  # input, forget, cell, output
        rows = slice(gate * lstm.hidden_size, (gate + 1) * lstm.hidden_size)
        nn.init.xavier_uniform_(into[rows])
        nn.init.orthogonal_(recurrent[rows])
    nn.init.zeros_(bias_into)
    nn.init.zeros_(bias_recurrent)
    bias_into[lstm.hidden_size : 2 * lstm.hidden_size] = 1.0
