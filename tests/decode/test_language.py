"""Beam search with a language model or a lexicon: against the objective of every text, and in what is said of it."""

import math

import numpy as np
import pytest
from brute import all_texts, boost_of, random_log_probs
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.decode import BeamDecoder, DecodeError
from asr.decode.ngram import NgramModel
from asr.decode.prefixes import tokens_of
from asr.decode.search import new_work, search

TOKENS = ("<blank>", " ", "a", "b")
EXHAUSTIVE = {"beam": 4000, "beam_threshold": math.inf, "token_floor": -math.inf}
UNKNOWN = -3.0

WORDS = """\\data\\
ngram 1=6
ngram 2=6
ngram 3=2

\\1-grams:
-99 <s> -0.3
-1.1 </s>
-1.5 <unk>
-0.5 a -0.2
-0.9 ab -0.4
-0.8 ba

\\2-grams:
-0.3 <s> a -0.1
-0.7 <s> ab
-0.4 a </s>
-0.6 a a -0.5
-0.2 ab ba
-0.9 ba </s>

\\3-grams:
-0.15 <s> a </s>
-0.35 <s> a a

\\end\\
"""

CHARACTERS = """\\data\\
ngram 1=6
ngram 2=4

\\1-grams:
-99 <s> -0.2
-0.9 </s>
-2 <unk>
-0.4 a -0.3
-0.6 b
-0.7 <space> -0.1

\\2-grams:
-0.2 <s> a
-0.5 a b
-0.3 <space> a
-0.8 a a

\\end\\
"""


@pytest.fixture(scope="session")
def words(tmp_path_factory) -> NgramModel:
    path = tmp_path_factory.mktemp("lm") / "words.arpa"
    path.write_text(WORDS)
    return NgramModel.load(path)


@pytest.fixture(scope="session")
def characters(tmp_path_factory) -> NgramModel:
    path = tmp_path_factory.mktemp("lm") / "characters.arpa"
    path.write_text(CHARACTERS)
    return NgramModel.load(path)


def spell(tokens):
    return "".join(TOKENS[token] for token in tokens)


def best_of_texts(values, score):
    """The best total of each text, (acoustic, lm, bonus), by a function from tokens to (lm, bonus) or None."""
    best = {}
    for tokens, acoustic in all_texts(values).items():
        parts = score(tokens)
        if parts is not None:
            text = " ".join(spell(tokens).split())
            best[text] = max(best.get(text, -math.inf), acoustic + sum(parts))
    return best


def word_objective(lm, weight, bonus, lexicon=None, hot=None):
    def score(tokens):
        text = spell(tokens).split()
        if lexicon is not None and not set(text) <= set(lexicon):
            return None
        unknown = sum(lm.id(word) == lm.unknown for word in text)
        return weight * lm.score(text) + UNKNOWN * unknown, bonus * len(text) + boost_of(spell(tokens), hot or {})

    return score


def check(values, decoder, objective, **call):
    wanted = best_of_texts(values, objective)
    found = decoder.decode(values, nbest=10_000, **call)
    assert {hypothesis.text: hypothesis.score for hypothesis in found} == pytest.approx(wanted, abs=1e-5)
    for hypothesis in found:
        lm, bonus = objective(hypothesis.tokens)
        assert (hypothesis.lm, hypothesis.bonus) == pytest.approx((lm, bonus), abs=1e-5)
        assert hypothesis.score == pytest.approx(hypothesis.acoustic + hypothesis.lm + hypothesis.bonus)


case = st.tuples(st.integers(0, 10**9), st.integers(0, 6), st.floats(0, 2), st.floats(-2, 2), st.booleans())


phrases = st.lists(st.text("ab", min_size=1, max_size=2), min_size=1, max_size=2).map(" ".join)
boosts = st.none() | st.dictionaries(phrases, st.floats(-3, 3), min_size=1, max_size=3)


def check_case(case, lm, hot):
    seed, steps, weight, bonus, closed = case
    lexicon = ["a", "bb", "ba"] if closed else None  # "bb" is a word that the model does not know
    decoder = BeamDecoder(
        TOKENS, " ", lm=lm, lm_weight=weight, word_bonus=bonus, lexicon=lexicon, unknown_penalty=UNKNOWN, **EXHAUSTIVE
    )
    check(random_log_probs(seed, steps, 4), decoder, word_objective(lm, weight, bonus, lexicon, hot), hotwords=hot)


@settings(max_examples=100)
@given(case, boosts)
def test_exact_with_a_model_of_words(words, case, hot):
    check_case(case, words, hot)


@pytest.mark.long
@settings(max_examples=10_000)
@given(case, boosts)
def test_exact_with_a_model_of_words_10_000(words, case, hot):
    check_case(case, words, hot)


@settings(max_examples=200)
@given(case, st.integers(1, 12), boosts)
def test_what_is_skipped_for_its_bounds_would_not_have_been_kept(words, case, beam, hot):
    seed, steps, weight, bonus, closed = case
    lexicon = ["a", "bb", "ba"] if closed else None
    decoder = BeamDecoder(TOKENS, " ", beam, words, weight, bonus, lexicon=lexicon, unknown_penalty=UNKNOWN)
    probabilities = random_log_probs(seed, 4 * steps, 4).exp().numpy()
    arrays = hot and decoder.hot_words(hot).arrays

    def found(limits, fusion):
        work = new_work(beam, len(TOKENS), fusion.start)
        nodes, _, leaves = search(probabilities, 0, limits, work, fusion, words.arrays, arrays)
        return {tuple(tokens_of(nodes, leaf)) for leaf in leaves}

    limits, fusion = decoder._limits(hot and decoder.hot_words(hot)), decoder._fusion
    unbounded = fusion.lexemes.copy()
    unbounded["most"] = 1e200
    assert found(limits, fusion) == found(limits._replace(ceiling=1e200), fusion._replace(lexemes=unbounded))


@settings(max_examples=50)
@given(st.integers(0, 10**9), st.integers(0, 6), st.floats(0, 2), st.floats(-2, 2))
def test_exact_with_a_model_of_tokens(characters, seed, steps, weight, bonus):
    def objective(tokens):
        named = ["<space>" if TOKENS[token] == " " else TOKENS[token] for token in tokens]
        return weight * characters.score(named), bonus * len(named)

    decoder = BeamDecoder(TOKENS, None, lm=characters, lm_weight=weight, word_bonus=bonus, **EXHAUSTIVE)
    check(random_log_probs(seed, steps, 4), decoder, objective)


@settings(max_examples=100)
@given(case, st.sampled_from([None, {"ab": 1.5, "b": -0.5}]))
def test_a_text_is_one_word_where_no_token_parts_them(words, case, hot):
    seed, steps, weight, bonus, closed = case
    lexicon = ["a", "ab", "ba"] if closed else None
    letters = ("<blank>", "a", "b")
    values = random_log_probs(seed, steps, 3)
    wanted = {}
    for tokens, acoustic in all_texts(values).items():
        text = "".join(letters[token] for token in tokens)
        if not text or lexicon is None or text in lexicon:
            word = [text] if text else []
            unknown = UNKNOWN * sum(words.id(one) == words.unknown for one in word)
            wanted[text] = (
                acoustic + weight * words.score(word) + unknown + bonus * len(word) + (hot or {}).get(text, 0)
            )
    decoder = BeamDecoder(
        letters,
        "",
        lm=words,
        lm_weight=weight,
        word_bonus=bonus,
        lexicon=lexicon,
        unknown_penalty=UNKNOWN,
        **EXHAUSTIVE,
    )
    found = decoder.decode(values, nbest=10_000, hotwords=hot)
    assert {hypothesis.text: hypothesis.score for hypothesis in found} == pytest.approx(wanted, abs=1e-5)
    (batched,) = decoder.decode_batch(values[None], [len(values)], hotwords=hot)
    assert batched[0] == found[0]


@settings(max_examples=50)
@given(st.integers(0, 10**9), st.integers(1, 6), st.booleans())
def test_a_narrow_beam_scores_exactly_what_it_finds(words, seed, beam, closed):
    values = random_log_probs(seed, 6, 4)
    lexicon = ["a", "bb", "ba"] if closed else None
    decoder = BeamDecoder(TOKENS, " ", beam, words, 0.7, 0.4, lexicon=lexicon, unknown_penalty=UNKNOWN)
    objective = word_objective(words, 0.7, 0.4, lexicon)
    acoustic = all_texts(values)
    for hypothesis in decoder.decode(values, nbest=beam):
        total = acoustic[hypothesis.tokens] + sum(objective(hypothesis.tokens))
        assert hypothesis.score == pytest.approx(total, abs=1e-5)


@settings(max_examples=50)
@given(st.integers(0, 10**9), st.integers(0, 7))
def test_a_closed_vocabulary_without_a_model(seed, steps):
    values = random_log_probs(seed, steps, 4)
    decoder = BeamDecoder(TOKENS, lexicon=["ab", "b"], **EXHAUSTIVE)
    check(values, decoder, lambda tokens: (0.0, 0.0) if set(spell(tokens).split()) <= {"ab", "b"} else None)


def test_an_end_inside_a_word_falls_back_to_the_last_whole_one():
    path = [2, 3, 1, 3]  # "ab b", and no word begins with b
    values = np.log(np.full((4, 4), 1e-9) + np.eye(4)[path] * (1 - 4e-9))
    (hypothesis,) = BeamDecoder(TOKENS, beam=1, lexicon=["ab"]).decode(values)
    assert hypothesis.text == "ab"
    certain = np.log(np.eye(4)[[3, 3]] + 1e-300)  # nothing but "b", whatever is searched
    (hypothesis,) = BeamDecoder(TOKENS, beam=1, lexicon=["ab"]).decode(certain)
    assert hypothesis.text == ""


def test_settings_name_the_model(words):
    settings = BeamDecoder(TOKENS, lm=words, lexicon=["a", "a", "ba"]).settings
    assert settings["decoder"] == "beam" and settings["lm"] == words.model_id
    assert (settings["lm_weight"], settings["lexicon_words"]) == (0.5, 2)


def test_words_that_cannot_be_spelled_are_named(words):
    assert BeamDecoder(TOKENS, lexicon=["ab", "été"]).unspellable == ("été",)
    assert BeamDecoder(TOKENS, lm=words).unspellable == ()
    with pytest.raises(DecodeError, match=r"no word can be spelled .* such as 'a'"):
        BeamDecoder(("<blank>", " ", "X", "Y"), lm=words, lexicon=["a"])
    with pytest.raises(DecodeError, match="contains none of the tokens"):
        BeamDecoder(("<blank>", "X", "Y"), None, lm=words)


@pytest.mark.parametrize("mark", ["<s>", "</s>", "<unk>"])
def test_pitfall_the_marks_of_a_language_model_are_no_words(words, mark):
    tokens = ("<blank>", " ", *"<>/sunkab")
    path = [tokens.index(character) for character in mark]
    values = np.log(np.full((len(path), len(tokens)), 1e-9) + np.eye(len(tokens))[path] * (1 - 1e-8))
    (found,) = BeamDecoder(tokens, lm=words, lm_weight=1.0, unknown_penalty=UNKNOWN).decode(values)
    assert found.text == mark
    assert found.lm == pytest.approx(words.score(["zebra"]) + UNKNOWN, abs=1e-5)  # as any unknown word


@settings(max_examples=30)
@given(case, st.integers(1, 12))
def test_other_weights_are_as_if_built_with_them(words, case, beam):
    seed, steps, weight, bonus, _ = case
    values = random_log_probs(seed, steps, 4)
    for boundary, vocabulary in ((" ", {"lm": words}), (" ", {"lm": words, "lexicon": ["a", "bb"]}), (None, {})):
        built = BeamDecoder(TOKENS, boundary, beam, lm_weight=weight, word_bonus=bonus, **vocabulary)
        first = BeamDecoder(TOKENS, boundary, 7, lm_weight=0.1, word_bonus=3.0, **vocabulary)
        before = first.decode(values, nbest=3)
        assert first.with_weights(beam, weight, bonus).decode(values, nbest=3) == built.decode(values, nbest=3)
        assert first.with_weights(beam, weight, bonus).settings == built.settings
        assert first.decode(values, nbest=3) == before
    with pytest.raises(DecodeError, match="lm_weight must be 0 or more"):
        first.with_weights(beam, -1.0, bonus)


def test_threads_change_nothing(words):
    rows = [random_log_probs(seed, 30, 4) for seed in range(6)]
    decoder = BeamDecoder(TOKENS, lm=words)
    assert decoder.decode_batch(rows, nbest=3, threads=3) == [decoder.decode(row, nbest=3) for row in rows]
