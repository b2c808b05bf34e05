"""Hot words: found as whole words only, phrases too, and the same whatever the search does with them on the way."""

import math

import numpy as np
import pytest
from brute import all_texts, boost_of, random_log_probs, times
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.decode import BeamDecoder, DecodeError
from asr.decode.hotwords import HotWords, hot_score
from asr.decode.search import Limits, new_work, search

TOKENS = ("<blank>", " ", "a", "b")


phrases = st.lists(st.text("ab", min_size=1, max_size=3), min_size=1, max_size=3).map(" ".join)


@given(st.dictionaries(phrases, st.floats(-5, 5), min_size=1, max_size=4), st.text(" ab", max_size=14))
def test_counts_whole_words_and_phrases(boosts, text):
    arrays = HotWords.build(boosts, TOKENS, boundary=1).arrays
    tokens = np.array([TOKENS.index(character) for character in text], dtype=np.int32)
    assert hot_score(tokens, arrays) == pytest.approx(boost_of(text, boosts))


@settings(max_examples=50)
@given(st.integers(0, 10**9), st.integers(0, 6))
def test_exact_where_nothing_is_pruned(seed, steps):
    values = random_log_probs(seed, steps, 4)
    boosts = {"ab": 2.0, "b a": 1.5, "a": -1.0}
    wanted: dict[str, float] = {}
    for tokens, acoustic in all_texts(values).items():
        text = " ".join("".join(TOKENS[token] for token in tokens).split())
        wanted[text] = max(wanted.get(text, -math.inf), acoustic + boost_of(text, boosts))
    decoder = BeamDecoder(TOKENS, beam=4000, beam_threshold=math.inf, token_floor=-math.inf)
    found = decoder.decode(values, nbest=10_000, hotwords=boosts)
    assert {hypothesis.text: hypothesis.score for hypothesis in found} == pytest.approx(wanted, abs=1e-8)
    for hypothesis in found:
        assert hypothesis.bonus == pytest.approx(boost_of(hypothesis.text, boosts))


@settings(max_examples=50)
@given(st.integers(0, 10**9), st.integers(1, 5))
def test_pitfall_does_not_fire_inside_other_words(seed, beam):
    values = random_log_probs(seed, 8, 4)
    decoder = BeamDecoder(TOKENS, beam=beam)
    for hypothesis in decoder.decode(values, nbest=beam, hotwords={"ab": 4.0}):
        assert hypothesis.bonus == pytest.approx(4.0 * times("ab", hypothesis.text))
        assert hypothesis.score == pytest.approx(hypothesis.acoustic + hypothesis.bonus)


def test_a_boost_holds_for_one_call():
    values = random_log_probs(3, 8, 4)
    decoder = BeamDecoder(TOKENS)
    before = decoder.decode(values)
    boosted = decoder.decode(values, hotwords={"ab ba": 30.0})
    assert boosted[0].text == "ab ba"
    assert decoder.decode(values) == before


def test_hot_words_that_are_made_once_are_the_same():
    values = random_log_probs(3, 8, 4)
    decoder = BeamDecoder(TOKENS)
    boosts = {"ab ba": 3.0, "a": -1.0}
    assert decoder.decode(values, hotwords=decoder.hot_words(boosts)) == decoder.decode(values, hotwords=boosts)
    assert decoder.hot_words({}) is None
    with pytest.raises(DecodeError, match="not in the model's alphabet"):
        decoder.hot_words({"xyz": 1.0})


def test_the_largest_boosts_lose_no_precision():
    values = random_log_probs(3, 40, 4)
    boosts = {"ab": 100.0, "b ab": 100.0, "ba": -100.0}
    (best,) = BeamDecoder(TOKENS).decode(values, hotwords=boosts)
    assert best.bonus == pytest.approx(boost_of(best.text, boosts)) and best.bonus >= 1000
    assert best.score == pytest.approx(best.acoustic + best.bonus)


def test_what_falls_behind_a_boosted_token_leaves_its_place_to_others():
    """The room for candidates fills up within a step, and the best of them has left most of the others far behind."""
    width, tokens = 20, 200
    row = np.linspace(2.0, 1.0, tokens)
    hot = HotWords.build({chr(0x4E00 + token): 40.0 for token in range(140, 170)}, alphabet(tokens), -1)
    limits = Limits(width, math.exp(-20), 0.0, float(hot.arrays.factor.max()))
    work = new_work(width, tokens, 0)
    nodes, _, leaves = search((row / row.sum())[None], 0, limits, work, None, None, hot.arrays)
    assert sorted(nodes[leaves]["token"]) == list(range(140, 160))


def alphabet(tokens):
    return ["<blank>", *(chr(0x4E00 + token) for token in range(1, tokens))]


def test_without_word_boundaries_phrases_are_found_anywhere():
    tokens = ("<blank>", "七", "八", "九")
    values = random_log_probs(4, 7, 4)
    (best,) = BeamDecoder(tokens, None).decode(values, hotwords={"七八": 20.0})
    assert "七八" in best.text and best.bonus == pytest.approx(20.0 * best.text.count("七八"))


@pytest.mark.parametrize(
    ("hotwords", "message"),
    [
        ({"abé": 1.0}, r"hot word 'abé': not in the model's alphabet: 'é' U\+00E9"),
        ({" ": 1.0}, "empty"),
        ({"ab": math.nan}, "boost must be a number"),
        ({"ab": 101.0}, "'ab': a boost of 101 is above the limit 100"),
        ({"ab": -1e6}, "'ab': a boost of -1e.06 is above the limit 100"),
        ({"a": 90.0, "b a": 90.0, "a b a": 90.0}, "add up to a boost of 270"),
    ],
)
def test_bad_hot_words_are_refused(hotwords, message):
    with pytest.raises(DecodeError, match=message):
        BeamDecoder(TOKENS).decode(random_log_probs(1, 3, 4), hotwords=hotwords)
