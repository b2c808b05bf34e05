"""The bidirectional LSTM layer against PyTorch's own on packed sequences, with the same weights."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from asr.model.lstm import BidirectionalLSTM, Layout, Piece, _run, cut, reversal
from asr.model.masking import valid_mask

LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=6)
PARAMETERS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def stack_like(reference: nn.LSTM) -> nn.ModuleList:
    """Layers of ours with the weights of a bidirectional `nn.LSTM`."""
    layers = nn.ModuleList()
    width = reference.input_size
    for number in range(reference.num_layers):
        layer = BidirectionalLSTM(width, reference.hidden_size)
        for ours, suffix in ((layer.forwards, ""), (layer.backwards, "_reverse")):
            given = {f"{name}_l0": getattr(reference, f"{name}_l{number}{suffix}").data for name in PARAMETERS}
            ours.load_state_dict(given)
        layers.append(layer)
        width = layer.outputs
    return layers


def gradients(reference: nn.LSTM, stack: nn.ModuleList) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Pairs of gradients: PyTorch's and ours, of each weight."""
    return [
        (getattr(reference, f"{name}_l{number}{suffix}").grad, getattr(ours, f"{name}_l0").grad)
        for number, layer in enumerate(stack)
        for ours, suffix in ((layer.forwards, ""), (layer.backwards, "_reverse"))
        for name in PARAMETERS
    ]


def compare(lengths: list[int], layers: int, seed: int, dtype: torch.dtype) -> float:
    """Largest difference of outputs and gradients from packed `nn.LSTM`, relative to its tensor's largest value."""
    torch.manual_seed(seed)
    reference = nn.LSTM(5, 7, layers, bidirectional=True).to(dtype)
    stack = stack_like(reference).to(dtype)
    sizes = torch.tensor(lengths)
    steps = max(lengths) + 3  # longer than the longest, as in a batch of examples joined with others
    values = torch.randn(steps, len(lengths), 5, dtype=dtype)
    mask = valid_mask(sizes, steps).T[:, :, None]
    weight = torch.randn(steps, len(lengths), 14, dtype=dtype) * mask  # of each output in the loss

    theirs_in = values.clone().requires_grad_()
    packed, _ = reference(pack_padded_sequence(theirs_in, sizes, enforce_sorted=False))
    theirs, _ = pad_packed_sequence(packed, total_length=steps)
    (theirs * weight).sum().backward()

    ours_in = values.clone().requires_grad_()
    ours = ours_in
    layout = Layout.of(sizes, steps)
    for layer in stack:
        ours = layer(ours, layout)
    (ours * weight).sum().backward()

    assert not (ours_in.grad * ~mask).any()  # no gradient reaches padding
    pairs = [(theirs, ours * mask), (theirs_in.grad, ours_in.grad), *gradients(reference, stack)]
    with torch.no_grad():
        return max(float((one - other).abs().max() / one.abs().max().clamp(min=1e-3)) for one, other in pairs)


@given(lengths=LENGTHS, layers=st.integers(1, 3), seed=st.integers(0, 999))
@settings(max_examples=25)
def test_equals_packed_lstm_in_float64(lengths, layers, seed):
    assert compare(lengths, layers, seed, torch.float64) < 1e-10


@given(lengths=LENGTHS, layers=st.integers(1, 3), seed=st.integers(0, 999))
@settings(max_examples=25)
def test_equals_packed_lstm_in_float32(lengths, layers, seed):
    assert compare(lengths, layers, seed, torch.float32) < 1e-4


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_equals_packed_lstm_over_many_steps(dtype, record_property):
    worst = compare([666, 1, 400, 665], 2, 3, dtype)
    record_property("largest_difference", worst)
    print(f"\n{dtype}: {worst:.2g}")
    assert worst < (1e-10 if dtype == torch.float64 else 1e-4)


@given(lengths=LENGTHS, extra=st.integers(0, 4), ordered=st.booleans())
def test_pieces_hold_every_valid_step_in_order(lengths, extra, ordered):
    lengths = sorted(lengths, reverse=True) if ordered else lengths
    steps = max(lengths) + extra
    pieces = cut(lengths, steps)
    ends, batches = [end for end, _ in pieces], [batch for _, batch in pieces]
    assert ends == sorted(set(ends)) and ends[-1] == steps
    assert batches == sorted(set(batches), reverse=True) and batches[0] == len(lengths)
    computed = [max(end for end, batch in pieces if batch > place) for place in range(len(lengths))]
    assert all(length <= end for length, end in zip(lengths, computed, strict=True))


def test_pieces_save_what_is_padding():
    assert cut([100] * 8, 100) == [(100, 8)]  # nothing to save
    assert cut([100, 98, 97], 100) == [(100, 3)]  # too little
    assert cut([100] * 4 + [50] * 4, 100) == [(50, 8), (100, 4)]
    assert cut([50] * 4 + [100] * 4, 100) == [(100, 8)]  # right, but the longest should come first
    assert cut([60, 60], 100) == [(60, 2), (100, 0)]
    lengths = list(range(200, 100, -1))
    computed, start = 0, 0
    for end, batch in cut(lengths, 200):
        computed, start = computed + (end - start) * batch, end
    assert computed < 1.1 * sum(lengths) < 1.25 * 200 * 100


@given(lengths=LENGTHS, extra=st.integers(0, 4))
def test_reversal_is_its_own_inverse_and_leaves_padding_in_place(lengths, extra):
    sizes, steps = torch.tensor(lengths), max(lengths) + extra
    rows = reversal(sizes, steps)
    assert torch.equal(rows[rows], torch.arange(steps * len(lengths)))
    values = torch.arange(steps * len(lengths)).view(steps, len(lengths))
    turned = values.flatten()[rows].view_as(values)
    for column, length in enumerate(lengths):
        assert torch.equal(turned[:length, column], values[:length, column].flip(0))
        assert torch.equal(turned[length:, column], values[length:, column])


def test_autocast_on_a_gpu_leaves_the_lstm_in_float32():
    """It would run cuDNN's in float16, though it was told bfloat16, and gradients would vanish."""
    seen = []

    def lstm(values: torch.Tensor) -> tuple[torch.Tensor]:
        seen.append((values.dtype, torch.is_autocast_enabled("cuda")))
        return (values,)

    autocast = torch.is_autocast_enabled("cuda")
    with FakeTensorMode():
        values = torch.zeros(5, 2, 8, device="cuda", dtype=torch.bfloat16)
        torch.set_autocast_enabled("cuda", True)  # torch.autocast would look for a GPU
        try:
            _run(lstm, values, [Piece(5, 2)])
        finally:
            torch.set_autocast_enabled("cuda", autocast)
    assert seen == [(torch.float32, False)]


def test_merge_by_sum_adds_the_directions():
    torch.manual_seed(0)
    concat, summed = BidirectionalLSTM(5, 7), BidirectionalLSTM(5, 7, merge="sum")
    summed.load_state_dict(concat.state_dict())
    values, layout = torch.randn(9, 2, 5), Layout.of(torch.tensor([9, 4]), 9)
    ahead, back = concat(values, layout).chunk(2, dim=-1)
    assert (concat.outputs, summed.outputs) == (14, 7)
    assert torch.equal(summed(values, layout), ahead + back)
