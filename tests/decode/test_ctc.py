"""The exact probability of a text: against torch, against all alignments, and where it is zero."""

import math

import numpy as np
import pytest
import torch
from brute import all_texts, random_log_probs
from hypothesis import given
from hypothesis import strategies as st

from asr.decode import DecodeError, forward_score


@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(2, 8), st.data())
def test_equals_ctc_loss(seed, steps, size, data):
    tokens = data.draw(st.lists(st.integers(1, size - 1), max_size=12))
    values = random_log_probs(seed, steps, size)
    loss = torch.nn.functional.ctc_loss(
        values[:, None],
        torch.tensor([tokens], dtype=torch.int64),
        torch.tensor([steps]),
        torch.tensor([len(tokens)]),
        reduction="sum",
    )
    assert forward_score(values, tokens) == pytest.approx(-float(loss), abs=1e-9)


@given(st.integers(0, 10**6), st.integers(0, 5), st.integers(2, 4))
def test_equals_the_sum_over_all_alignments(seed, steps, size):
    values = random_log_probs(seed, steps, size)
    for text, score in all_texts(values).items():
        assert forward_score(values, text) == pytest.approx(score, abs=1e-9)


def test_what_no_alignment_can_say_is_impossible():
    values = random_log_probs(1, 3, 4)
    assert forward_score(values, [1, 2, 3]) > -math.inf
    assert forward_score(values, [1, 1, 3]) == -math.inf  # a blank is needed between the two
    assert forward_score(values, [1, 2, 3, 1]) == -math.inf
    certain = torch.tensor([[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]]).log()
    assert forward_score(certain, [1]) == 0
    assert forward_score(certain, [2]) == forward_score(certain, []) == -math.inf


def test_empty_text_and_no_steps():
    values = random_log_probs(2, 6, 3)
    assert forward_score(values, []) == pytest.approx(float(values[:, 0].sum()))
    assert forward_score(values[:0], []) == 0
    assert forward_score(values[:0], [1]) == -math.inf


def test_any_blank_and_any_type():
    values = random_log_probs(3, 9, 4)
    swapped = np.ascontiguousarray(values.numpy()[:, ::-1])
    assert forward_score(swapped, [2, 1], blank=3) == pytest.approx(forward_score(values, [1, 2]))
    assert forward_score(values.float(), [1, 2]) == pytest.approx(forward_score(values, [1, 2]), abs=1e-4)


@pytest.mark.parametrize("token", [0, 4, -1])
def test_tokens_outside_the_alphabet_are_refused(token):
    with pytest.raises(DecodeError, match="without the blank 0"):
        forward_score(random_log_probs(1, 3, 4), [1, token])
