"""Log-mel features, or a log-spectrogram, computed on whatever device the model is on."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from asr.config import FeatureConfig
from asr.model.masking import zero_padding, zero_padding_

_LOUDNESS = 0.1  # RMS; speech at -20 dB of full scale
_SILENCE = 1e-4  # RMS below which there is nothing to bring up but the noise of 16 bits
_BLOCK = 16  # mel filters multiplied at once; more multiply more zeros, fewer cost more calls


def equal_loudness(waveforms: Tensor, lengths: Tensor) -> Tensor:
    """Waveforms scaled to one RMS level, each by itself; a silent one stays silent.

    Args:
        waveforms: (batch, samples); what lies beyond a length is set to zero.
        lengths: (batch,) samples.
    """
    waveforms = zero_padding(waveforms, lengths)
    energy = waveforms.square().sum(1, dtype=torch.float64)  # in float64 no bit of it depends on the padding
    rms = (energy / lengths).sqrt().clamp(min=_SILENCE).to(waveforms.dtype)
    return waveforms * (_LOUDNESS / rms)[:, None]


def mel_filters(config: FeatureConfig) -> Tensor:
    """Triangles of height one, each from the peak of the last to the peak of the next, evenly spaced in mel.

    In mel, 2595 log10(1 + Hz / 700), as HTK has them (Young et al., The HTK Book, 2006, section 5.4), but straight in
    Hz: to the last bit what `torchaudio.functional.melscale_fbanks` gives, but for odd sampling rates, half of which
    it rounds. They are ours because a torchaudio works with one version of PyTorch only, and that would bind everybody
    who installs this.

    Returns:
        (bins, mels), a filter a column. With too many filters for so few bins some have no weight.
    """
    top = config.high_hz or config.sample_rate / 2
    low, high = (2595.0 * math.log10(1.0 + hz / 700.0) for hz in (config.low_hz, top))
    corners = 700.0 * (10.0 ** (torch.linspace(low, high, config.mels + 2) / 2595.0) - 1.0)
    bins = torch.linspace(0, config.sample_rate / 2, config.fft // 2 + 1)
    beyond = corners - bins[:, None]  # (bins, corners), in Hz
    widths = corners.diff()
    rising, falling = -beyond[:, :-2] / widths[:-1], beyond[:, 2:] / widths[1:]
    return torch.minimum(rising, falling).clamp(min=0)


def filter_blocks(filters: Tensor) -> list[tuple[slice, slice]]:
    """The parts of a filter bank that hold all of its weights: a filter is narrow, so most of the matrix is zero.

    Args:
        filters: (bins, mels), a filter a column.

    Returns:
        (bins, mels) slices; the mels are all there in order, and outside the blocks there are zeros only.
    """
    blocks = []
    for start in range(0, filters.shape[1], _BLOCK):
        mels = slice(start, min(start + _BLOCK, filters.shape[1]))
        used = filters[:, mels].any(1).nonzero().flatten().tolist() or [0]  # too many bands leave some empty
        blocks.append((slice(used[0], used[-1] + 1), mels))
    return blocks


class LogSpectrum(nn.Module):
    """Natural logarithm of the power in mel bands, or in the bins of the Fourier transform.

    Frame i is centred on sample i x hop; where its window reaches beyond the utterance it meets zeros, never a
    reflection and never a neighbour's samples, so an utterance has the same features alone and in any batch. Equal
    to `torchaudio.transforms.MelSpectrogram(center=True, pad_mode="constant")` and, with Slaney's filters, librosa's.
    """

    window: Tensor
    filters: Tensor

    def __init__(self, config: FeatureConfig) -> None:
        super().__init__()
        self.config = config
        # The window stands in the middle of the FFT, as torch.stft places it.
        margin = config.fft - config.window
        window = nn.functional.pad(torch.hann_window(config.window), (margin // 2, margin - margin // 2))
        self.register_buffer("window", window, persistent=False)
        if config.scale == "linear":
            return
        # Each filter weight twice in a row, for the squares of the real and the imaginary part: the matrix product adds
        # them up on its way.
        self.register_buffer("filters", mel_filters(config).repeat_interleave(2, dim=0), persistent=False)
        self.blocks = filter_blocks(self.filters)

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Frames of so many samples: (batch,) -> (batch,)."""
        return torch.div(lengths, self.config.hop, rounding_mode="floor") + 1

    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Features of a batch of waveforms.

        Args:
            waveforms: (batch, samples), float; what lies beyond a length is ignored.
            lengths: (batch,) samples.

        Returns:
            (batch, frames, bands) features, zero beyond their length, and (batch,) lengths in frames.
        """
        half = self.config.fft // 2
        padded = nn.functional.pad(waveforms, (half, self.config.fft - half))
        zero_padding_(padded[:, half:], lengths)
        frames = padded.unfold(1, self.config.fft, self.config.hop)  # (batch, frames, fft), a view
        # On a CPU one utterance at a time stays in the processor's cache, which is twice as fast.
        at_once = 1 if frames.device.type == "cpu" else len(frames)
        power_of = self._mel_power if self.config.scale == "mel" else self._power
        power = torch.cat([power_of(part) for part in frames.split(at_once)])
        # In place, here and there: on a CPU half of the time would go into new memory.
        features = power.clamp_(min=self.config.floor).log_()
        frame_lengths = self.frame_lengths(lengths)
        return zero_padding_(features, frame_lengths), frame_lengths

    def _power(self, frames: Tensor) -> Tensor:
        """(batch, frames, fft) samples -> (batch, frames, bins) power."""
        return torch.view_as_real(torch.fft.rfft(frames * self.window)).square_().sum(-1)

    def _mel_power(self, frames: Tensor) -> Tensor:
        """(batch, frames, fft) samples -> (batch, frames, mels) power."""
        spectrum = torch.view_as_real(torch.fft.rfft(frames * self.window)).flatten(-2).square_()
        return torch.cat([spectrum[..., bins] @ self.filters[bins, mels] for bins, mels in self.blocks], dim=-1)
