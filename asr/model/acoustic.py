"""The acoustic model: spectral features, convolutions that shorten time, a BLSTM stack, an output layer."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor, nn

from asr.config import Config
from asr.model.blocks import Between, Convolution, Convolution2d, shortened
from asr.model.features import LogSpectrum, equal_loudness
from asr.model.lstm import BidirectionalLSTM, Layout
from asr.model.masking import valid_mask, zero_padding


class AcousticModel(nn.Module):
    """Waveforms to log-probabilities of tokens.

    An utterance gets the same log-probabilities alone and in any batch: padding is zero wherever a convolution could
    reach it, comes last in both LSTM directions, and nothing is averaged over a batch (but in training, where the
    config asks for batch normalisation).

    Args:
        config: The run's settings; `features` and `model` are used.
        vocabulary: Number of tokens, blank included.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: Config, vocabulary: int, initialise: bool = True) -> None:
        super().__init__()
        self.config = config
        self.vocabulary = vocabulary
        model = config.model
        self.log_spectrum = LogSpectrum(config.features)
        self.register_buffer("mean", torch.zeros(config.features.bands))
        self.register_buffer("std", torch.ones(config.features.bands))

        channels, width = 1, config.features.bands
        self.conv2d = nn.ModuleList()
        for conv2d in model.conv2d:
            block2d = Convolution2d(channels, width, conv2d, model)
            channels, width = conv2d.channels, block2d.bands
            self.conv2d.append(block2d)
        width *= channels
        self.subsample = nn.ModuleList()
        for conv in model.subsample:
            self.subsample.append(Convolution(width, conv, model))
            width = conv.channels
        self.layers = nn.ModuleList()
        self.between = nn.ModuleList()
        for number in range(model.layers):
            layer = BidirectionalLSTM(width, model.hidden, model.merge)
            last = number == model.layers - 1
            block = Between(layer.outputs, model.dense_top if last else model.dense, model)
            width = block.outputs
            self.layers.append(layer)
            self.between.append(block)
        self.output = nn.Linear(width, vocabulary)
        if initialise:
            _initialise(self)

    @torch.no_grad()
    def set_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Set the mean and standard deviation of each band over the training set, both (bands,)."""
        self.mean.copy_(mean)
        self.std.copy_(std)

    def step_lengths(self, lengths: Tensor) -> Tensor:
        """Steps that come out of so many samples: (batch,) -> (batch,), on whatever device the lengths are."""
        lengths = self.log_spectrum.frame_lengths(lengths)
        for stride in self.config.model.strides:
            lengths = shortened(lengths, stride)
        return lengths

    def raw_features(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Features before normalisation, (batch, frames, bands), and (batch,) frames."""
        if self.config.features.loudness == "equal":
            waveforms = equal_loudness(waveforms, lengths)
        features, frames = self.log_spectrum(waveforms, lengths)
        return features, frames

    def features(self, waveforms: Tensor, lengths: Tensor, tones: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Normalised features.

        Args:
            waveforms: (batch, samples).
            lengths: (batch,) samples.
            tones: (batch, bands) to be added before normalisation: augmentation in training.

        Returns:
            (batch, frames, bands), zero beyond their length (the mean of a band), and (batch,) frames.
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
            features: (batch, frames, bands), zero beyond their length.
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
            features: (batch, frames, bands), zero beyond their length.
            frames: (batch,) frames.
            intermediate: LSTM layers from 0, the lowest.

        Returns:
            (batch, steps, tokens) log-probabilities, the same after each intermediate layer, and (batch,) steps.
        """
        values, lengths = features[..., None], frames  # (batch, frames, bands, channels)
        for convolution2d in self.conv2d:
            values, lengths = convolution2d(values, lengths)
        values = values.flatten(2)
        for convolution in self.subsample:
            values, lengths = convolution(values, lengths)
        values = values.transpose(0, 1)  # time first: (steps, batch, channels)
        layout = Layout.of(lengths, len(values))
        valid = valid_mask(lengths, len(values)).T
        lower = []
        for number, (layer, between) in enumerate(zip(self.layers, self.between, strict=True)):
            heard = layer(values, layout)
            if number in intermediate:
                lower.append(heard)
            values = between(heard, valid)
        return self._log_probs(values), [self._log_probs(self.between[-1](heard, valid)) for heard in lower], lengths

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


def _initialise(model: AcousticModel) -> None:
    """Set the starting weights.

    LSTM: input weights Glorot uniform, recurrent weights orthogonal one gate at a time (Saxe et al. 2014), biases zero
    but for the forget gate's, 1 (Jozefowicz et al. 2015), so that a cell remembers before it has learned what to.
    Convolutions, hidden layers and projections: He normal where the activation is a ReLU or GELU, else Glorot. Output
    layer: Glorot.
    """
    rectified = model.config.model.activation in ("relu", "clipped-relu", "gelu")
    for module in model.modules():
        if isinstance(module, nn.LSTM):
            _initialise_lstm(module)
        elif isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear):
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
