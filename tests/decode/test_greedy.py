"""Greedy decoding: by hand, against the textbook rule, in batches, and what it refuses."""

from itertools import groupby

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr.decode import DecodeError, GreedyDecoder

TOKENS = ("<blank>", " ", "a", "b")
decoder = GreedyDecoder(TOKENS)


def log_probs(path: str, certainty: float = 0.7) -> torch.Tensor:
    """(steps, 4) log-probabilities whose best path is `path`, "-" the blank."""
    numbers = ["- ab".index(character) for character in path]
    probabilities = torch.full((len(path), len(TOKENS)), (1 - certainty) / 3)
    probabilities[range(len(path)), numbers] = certainty
    return probabilities.log()


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("aab", "ab"),
        ("a-a", "aa"),
        ("aa--aa", "aa"),
        ("--a b--", "a b"),
        (" a  b ", "a b"),  # no space at an edge
        ("a - b", "a b"),  # and none twice
        ("----", ""),
        ("", ""),
        ("a", "a"),
    ],
)
def test_merges_repeats_and_drops_blanks(path, text):
    (hypothesis,) = decoder.decode(log_probs(path))
    assert hypothesis.text == text


def test_spans_and_scores():
    (hypothesis,) = decoder.decode(log_probs("-aa-b "))
    assert [(span.token, span.start, span.end) for span in hypothesis.spans] == [(2, 1, 3), (3, 4, 5), (1, 5, 6)]
    assert hypothesis.tokens == (2, 3, 1)
    assert [span.score for span in hypothesis.spans] == pytest.approx([np.log(0.7)] * 3)
    assert hypothesis.score == hypothesis.acoustic == pytest.approx(6 * np.log(0.7))
    assert hypothesis.lm == hypothesis.bonus == 0


@given(st.lists(st.text("- ab", max_size=12), min_size=1, max_size=5))
def test_agrees_with_the_rule_alone_and_in_a_batch(paths):
    rows = [log_probs(path) for path in paths]
    padded = torch.full(
        (len(rows), max(map(len, rows)) + 1, len(TOKENS)), float("nan")
    )  # padding must not be looked at
    for place, row in zip(padded, rows, strict=True):
        place[: len(row)] = row
    together = decoder.decode_batch(padded, torch.tensor([len(row) for row in rows]))
    assert together == decoder.decode_batch(padded.numpy(), [len(row) for row in rows])
    assert together == decoder.decode_batch(rows) == [decoder.decode(row) for row in rows]
    for (hypothesis,), path in zip(together, paths, strict=True):
        merged = "".join(character for character, _ in groupby(path) if character != "-")
        assert hypothesis.text == " ".join(merged.split())
        assert "".join(TOKENS[token] for token in hypothesis.tokens) == merged


def test_takes_numpy_and_any_blank():
    swapped = log_probs("ab-a").numpy()[:, ::-1].copy()
    (hypothesis,) = GreedyDecoder(TOKENS[::-1], blank=3).decode(swapped)
    assert hypothesis.text == "aba"


def test_alphabet_without_a_space():
    (hypothesis,) = GreedyDecoder(("<blank>", "七", "八", "九")).decode(log_probs("a-b "))
    assert hypothesis.text == "八九七"


def test_empty_batch():
    assert decoder.decode_batch([]) == []
    assert decoder.decode_batch(torch.zeros(0, 5, 4)) == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (torch.randn(5, 4, generator=torch.Generator().manual_seed(1)), "raw scores need log_softmax"),
        (torch.full((5, 4), 0.25), "these are probabilities"),
        (torch.full((5, 4), float("nan")), "NaN"),
        (torch.full((5, 4), -1.386294).index_fill(0, torch.tensor([2]), float("inf")), "infinity"),
        (torch.full((5, 3), -1.0986), r"must be \(steps, 4\)"),
        (torch.zeros(5, 4, dtype=torch.int64), "floating-point"),
    ],
)
def test_pitfall_what_is_not_log_probabilities_is_refused(values, message):
    with pytest.raises(DecodeError, match=message):
        decoder.decode(values)


def test_zero_probabilities_are_allowed():
    (hypothesis,) = decoder.decode(torch.tensor([[0.0, 0.0, 1.0, 0.0]]).log())
    assert (hypothesis.text, hypothesis.score) == ("a", 0.0)


def test_lengths_and_blank_are_checked():
    with pytest.raises(DecodeError, match="0 to 3"):
        decoder.decode_batch(log_probs("aab")[None], [4])
    with pytest.raises(DecodeError, match="list of utterances has its own"):
        decoder.decode_batch([log_probs("aab")], [3])
    with pytest.raises(DecodeError, match="blank"):
        GreedyDecoder(TOKENS, blank=4)
