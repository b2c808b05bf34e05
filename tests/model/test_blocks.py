"""The blocks around the LSTM layers: equal to PyTorch's own on utterances without padding."""

import pytest
import torch
from torch import nn

from asr.config import Conv2dConfig, ModelConfig
from asr.model import blocks
from asr.model.blocks import After, BatchNorm, Convolution2d
from asr.model.masking import valid_mask, zero_padding

LENGTHS = torch.tensor([7, 3, 1])


def padded(*shape: int, beyond: float = 0.0) -> torch.Tensor:
    """Values (3, 7, ...) of three sequences, `beyond` in their padding."""
    torch.manual_seed(0)
    values = torch.randn(3, 7, *shape, dtype=torch.float64)
    return torch.where(valid_mask(LENGTHS, 7).reshape(3, 7, *[1] * len(shape)), values, beyond)


def test_batch_normalisation_is_pytorchs_over_what_is_real():
    ours, theirs = BatchNorm(4).double(), nn.BatchNorm1d(4).double()
    valid = valid_mask(LENGTHS, 7)
    for _ in range(3):
        values = padded(4, beyond=1e6)
        normalised = ours(values, valid)
        assert torch.equal(normalised[valid], theirs(values[valid]))
        assert not normalised[~valid].any()
    assert torch.equal(ours.running_mean, theirs.running_mean) and torch.equal(ours.running_var, theirs.running_var)
    ours.eval(), theirs.eval()
    assert torch.equal(ours(values, valid)[valid], theirs(values[valid]))


def test_batch_normalisation_takes_the_bands_of_a_step_together():
    ours, theirs = BatchNorm(4).double(), nn.BatchNorm2d(4).double()
    values = torch.randn(3, 7, 5, 4, dtype=torch.float64)
    expected = theirs(values.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    torch.testing.assert_close(ours(values, torch.ones(3, 7, dtype=torch.bool)), expected)


def test_a_single_value_is_normalised_by_the_running_statistics():
    ours = BatchNorm(2)
    value = torch.tensor([[[3.0, -1.0]]])
    torch.testing.assert_close(ours(value, torch.ones(1, 1, dtype=torch.bool)), value, atol=1e-4, rtol=1e-4)
    assert not ours.running_mean.any()


@pytest.mark.parametrize("norm", ["layer", "none"])
def test_a_convolution_over_time_and_bands_is_the_same_alone_and_in_a_batch(norm):
    conv = Conv2dConfig(channels=3, kernel=(5, 3), stride=(2, 2))
    block = Convolution2d(2, 9, conv, ModelConfig(norm=norm, dropout=0)).double()
    values = padded(9, 2)
    together, lengths = block(values, LENGTHS)
    assert together.shape == (3, 4, 5, 3) and block.bands == 5 and lengths.tolist() == [4, 2, 1]
    assert torch.equal(together, zero_padding(together, lengths))
    for row, length, steps in zip(range(3), LENGTHS, lengths, strict=True):
        alone, _ = block(values[row : row + 1, :length], length[None])
        torch.testing.assert_close(together[row, :steps], alone[0])


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("frames", [1, 2, 17, 18, 19])
def test_a_convolution_is_pytorchs_however_many_steps_it_takes_at_a_time(monkeypatch, stride, frames):
    monkeypatch.setattr(blocks, "_CHUNK", 3)
    conv = Conv2dConfig(channels=3, kernel=(5, 3), stride=(stride, 1))
    block = Convolution2d(2, 9, conv, ModelConfig(norm="none", activation="relu", dropout=0)).double()
    values = torch.randn(2, frames, 9, 2, dtype=torch.float64)
    whole = nn.functional.conv2d(values.permute(0, 3, 1, 2), block.conv.weight, block.conv.bias, (stride, 1), (2, 1))
    chunked, _ = block(values, torch.tensor([frames, frames]))
    torch.testing.assert_close(chunked, whole.relu().permute(0, 2, 3, 1))


@torch.no_grad()
def test_batch_normalisation_stands_before_the_activation_and_layer_normalisation_after():
    values, valid = padded(4), valid_mask(LENGTHS, 7)
    batch = After(4, ModelConfig(norm="batch", activation="clipped-relu", dropout=0), activation=True).double()
    assert float(batch(values, valid).min()) == 0
    batch.norm.weight.fill_(1e3)
    assert float(batch(values, valid).max()) == 20
    layer = After(4, ModelConfig(norm="layer", dropout=0), activation=True).double()
    assert float(layer(values, None).min()) < 0
