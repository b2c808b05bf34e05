"""A text with more than half of all probability is the answer, and nothing else is taken for one."""

import math

import numpy as np
import pytest
import torch
from brute import all_texts, random_log_probs
from hypothesis import given
from hypothesis import strategies as st

from asr.decode import BeamDecoder, GreedyDecoder, forward_score
from asr.decode.majority import best_path, majority_score

LETTERS = ("<blank>", "a", "b", "c")
case = st.tuples(st.integers(0, 10**9), st.integers(0, 7), st.integers(2, 4), st.floats(0, 12))


def share(log_probs, text):
    """What a text has of the probability of all texts."""
    return math.exp(forward_score(log_probs, text) - float(log_probs.logsumexp(1).sum()))


def scored(log_probs, text, blank=0):
    return majority_score(log_probs.exp().numpy(), blank, np.array(text, np.int32))


@given(case)
def test_of_all_texts_it_scores_just_those_with_more_than_half(sizes):
    values = random_log_probs(*sizes)
    texts = all_texts(values)
    for text, wanted in texts.items():
        if wanted > math.log(0.5) + 1e-6:
            assert scored(values, text) == pytest.approx(wanted, abs=1e-12)
            assert wanted == max(texts.values())
        elif wanted < math.log(0.5) - 1e-6:
            assert math.isnan(scored(values, text))


@given(st.integers(0, 10**6), st.integers(0, 300), st.floats(-0.01, 0.01))
def test_half_of_what_there_is_where_rounding_has_left_more_or_less_than_1(seed, steps, stray):
    rng = np.random.default_rng(seed)
    values = random_log_probs(seed, steps, 4, sharpness=0.5)
    sure = torch.from_numpy(rng.choice([6.0, 14.0], p=[0.01, 0.99], size=steps))
    values[torch.arange(steps), torch.from_numpy(rng.integers(0, 3, steps))] += sure
    values = values.log_softmax(1) + stray
    text = best_path(values.numpy(), 0)
    score = scored(values, text)
    if share(values, text) > 0.5 + 1e-6:
        assert score == pytest.approx(forward_score(values, text), abs=1e-9)
    elif share(values, text) < 0.5 - 1e-6:
        assert math.isnan(score)


@given(case, st.integers(1, 3))
def test_the_answer_is_that_of_the_search(sizes, beam):
    values = random_log_probs(*sizes)
    decoder = BeamDecoder(LETTERS[: sizes[2]], None, beam=beam)
    (alone,), (first, *_) = decoder.decode(values), decoder.decode(values, nbest=2)  # the first needs no search
    assert alone.score == pytest.approx(first.score, abs=1e-9)
    assert alone.score == alone.acoustic and alone.lm == alone.bonus == 0.0
    assert alone.text == first.text or forward_score(values, alone.tokens) == pytest.approx(first.score, abs=1e-9)


def test_nothing_is_searched_where_one_text_has_the_majority(monkeypatch):
    def search(*args):
        raise AssertionError("searched")

    monkeypatch.setattr("asr.decode.beam.search", search)
    decoder = BeamDecoder(LETTERS, None)
    sure = random_log_probs(1, 40, 4, sharpness=30.0)
    (answer,) = decoder.decode(sure)
    assert answer.tokens == GreedyDecoder(LETTERS).decode(sure)[0].tokens
    flat = random_log_probs(1, 40, 4, sharpness=0.1)
    with pytest.raises(AssertionError, match="searched"):
        decoder.decode(flat)
    for more in ({"nbest": 2}, {"hotwords": {"a": 1.0}}):  # other texts are asked for, or may be worth more
        with pytest.raises(AssertionError, match="searched"):
            decoder.decode(sure, **more)


@given(st.integers(0, 10**6), st.integers(0, 12), st.integers(0, 3))
def test_the_best_path_is_that_of_greedy_decoding(seed, steps, blank):
    values = random_log_probs(seed, steps, 4)
    (greedy,) = GreedyDecoder(LETTERS, blank).decode(values)
    assert tuple(best_path(values.numpy(), blank).tolist()) == greedy.tokens
