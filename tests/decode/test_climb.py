"""Climbing: what the beam search answers is no single edit away from anything more probable."""

import math

import numpy as np
import pytest
from brute import random_log_probs
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.decode import BeamDecoder, forward_score
from asr.decode.climb import _masses, climb

LETTERS = ("<blank>", "a", "b", "c", "d")
unpruned = {"beam_threshold": math.inf, "token_floor": -math.inf}
case = st.tuples(st.integers(0, 10**9), st.integers(0, 30), st.integers(2, 5), st.floats(0, 6))


def edits(text, size):
    """All texts that are one token inserted, replaced or deleted away, tokens 1 to size - 1."""
    for start in range(len(text) + 1):
        for stop in range(start, min(start + 1, len(text)) + 1):
            for put in [(), *((token,) for token in range(1, size))]:
                yield *text[:start], *put, *text[stop:]


def check_no_edit_gains(values, size, text, floor=-math.inf, tolerance=1e-7):
    reached = forward_score(values, text)
    tried = (values >= floor).any(dim=0).tolist()
    for edited in edits(tuple(text), size):
        if all(tried[token] or token in text for token in edited):
            assert forward_score(values, edited) <= reached + tolerance, (text, edited)


def check_answer(sizes, beam):
    seed, steps, size, sharpness = sizes
    values = random_log_probs(seed, steps, size, sharpness)
    found = BeamDecoder(LETTERS[:size], None, beam=beam, **unpruned).decode(values, nbest=beam + 2)
    check_no_edit_gains(values, size, found[0].tokens)
    assert found[0].score == pytest.approx(forward_score(values, found[0].tokens), abs=1e-8)
    scores = [hypothesis.score for hypothesis in found]
    assert scores == sorted(scores, reverse=True)
    assert len({hypothesis.text for hypothesis in found}) == len(found)


@given(case, st.integers(1, 4))
def test_no_single_edit_of_the_answer_is_more_probable(sizes, beam):
    check_answer(sizes, beam)


@pytest.mark.long
@settings(max_examples=3000)
@given(case, st.integers(1, 4))
def test_no_single_edit_of_the_answer_is_more_probable_3_000(sizes, beam):
    check_answer(sizes, beam)


@given(case, st.data())
def test_climbs_from_any_possible_text(sizes, data):
    seed, steps, size, sharpness = sizes
    values = random_log_probs(seed, steps, size, sharpness)
    text = np.array(data.draw(st.lists(st.integers(1, size - 1), max_size=steps // 2)), np.int32)
    reached = climb(values.exp().numpy(), 0, 0.0, 0.0, text)
    assert forward_score(values, reached) >= forward_score(values, text) - 1e-9
    check_no_edit_gains(values, size, reached.tolist())


@given(case, st.integers(1, 4))
def test_no_single_edit_gains_with_the_pruning_that_is_usual(sizes, beam):
    seed, steps, size, sharpness = sizes
    values = random_log_probs(seed, steps, size, sharpness)
    (found,) = BeamDecoder(LETTERS[:size], None, beam=beam).decode(values)
    check_no_edit_gains(values, size, found.tokens, floor=-12.0, tolerance=1e-4)


@settings(max_examples=40)
@given(st.integers(0, 10**9), st.integers(0, 20), st.sampled_from([2, 60, 300]), st.floats(0, 6), st.data())
def test_no_token_of_many_gains_however_improbable_it_is(seed, steps, size, sharpness, data):
    values = random_log_probs(seed, steps, size, sharpness)
    text = np.array(data.draw(st.lists(st.integers(1, size - 1), max_size=steps // 4)), np.int32)
    reached = climb(values.exp().numpy(), 0, 0.0, 0.0, text)
    check_no_edit_gains(values, size, reached.tolist())


def test_improbable_tokens_are_tried_where_none_is_probable():
    probabilities = np.full((1, 3000), 0.4 / 2999)
    probabilities[0, [0, 1000, 2000]] = 0.0, 0.0004, 0.0008
    for floor in (0.0, 0.0005):
        assert climb(probabilities, 0, floor, 0.0, np.array([1], np.int32)).tolist() == [2000]
        assert climb(probabilities, 0, floor, 0.0, np.array([1000], np.int32)).tolist() == [2000]


@settings(max_examples=30)
@given(st.integers(0, 10**9), st.integers(60, 90), st.floats(1, 4), st.integers(1, 3))
def test_edits_that_are_good_alone_and_not_together_are_made_one_by_one(seed, steps, sharpness, apart):
    """Edits next to each other undo each other's gain all the time, and two insertions may not fit the steps."""
    values = random_log_probs(seed, steps, 3, sharpness)
    text = np.random.default_rng(seed).integers(1, 3, steps // 2).astype(np.int32)
    reached = climb(values.exp().numpy(), 0, 0.0, 0.0, text, apart)
    assert forward_score(values, reached) >= forward_score(values, text) - 1e-9
    check_no_edit_gains(values, 3, reached.tolist())


@given(case, st.data())
def test_masses_that_are_kept_have_no_gaps(sizes, data):
    """A prefix may fall behind and catch up again: what is looked up in between must be its own."""
    seed, steps, size, sharpness = sizes
    values = random_log_probs(seed, steps, size, sharpness).exp().numpy()
    text = np.array(data.draw(st.lists(st.integers(1, size - 1), max_size=steps)), np.int32)
    masses = _masses(values, 0, text, 0.05, False)
    kept = [
        masses.offset[step] + place
        for place in range(len(text) + 1)
        for step in range(masses.first[place], masses.last[place] + 1)
    ]
    assert len(kept) == len(set(kept))


def test_long_texts_are_mended_in_many_places_at_once():
    rng = np.random.default_rng(1)
    said = rng.integers(1, 5, 400)
    probabilities = np.full((800, 5), 0.02)
    probabilities[::2, 0] = probabilities[np.arange(1, 800, 2), said] = 0.92
    text = said.astype(np.int32)
    text[::20] = text[::20] % 4 + 1
    assert climb(probabilities, 0, 0.0, math.exp(-20), text).tolist() == said.tolist()


def test_what_is_impossible_stays():
    values = random_log_probs(1, 3, 4)
    impossible = np.array([1, 1, 1], np.int32)
    assert climb(values.exp().numpy(), 0, 0.0, 0.0, impossible).tolist() == [1, 1, 1]
    certain = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    assert climb(certain, 0, 0.0, 0.0, np.array([1, 2], np.int32)).tolist() == [1, 2]
    assert climb(certain, 0, 0.0, 0.0, np.array([2], np.int32)).tolist() == [2]


def test_tokens_below_the_floor_are_not_tried():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8]])
    empty = np.empty(0, np.int32)
    assert climb(probabilities, 0, 0.85, 0.0, empty).tolist() == []
    assert climb(probabilities, 0, 0.5, 0.0, empty).tolist() == [1]
