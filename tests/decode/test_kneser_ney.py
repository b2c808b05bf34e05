"""The estimator: against lmplz, against the laws of probability, and by hand."""

from collections import Counter
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from asr.decode.arpa import read_arpa
from asr.decode.kneser_ney import FALLBACK, estimate
from asr.decode.ngram import NgramModel
from asr.decode.ngram_arrays import advance
from asr.decode.ngram_table import NgramTable
from asr.errors import LanguageModelError

HERE = Path(__file__).parent


def grams(table: NgramTable) -> dict[str, tuple[float, float]]:
    """Text -> log-probability and back-off, in log10."""
    return {
        text: tuple(float(value) / np.log(10) for value in values)
        for level, texts in zip(table.levels, table.texts(), strict=True)
        for text, *values in zip(texts, level.log_prob, level.backoff, strict=True)
    }


def test_equals_lmplz():
    """lmplz.arpa: `lmplz -o 4 --discount_fallback < lmplz.txt` of KenLM 0.3.0.

    The text is of our own making, and its last new word stands in it once: lmplz takes raw counts, not adjusted ones,
    for the very last n-gram of each order in its statistics, which are the same then.
    """
    text = (HERE / "lmplz.txt").read_text(encoding="utf-8").splitlines()
    found = estimate([line.split() for line in text], 4)
    theirs, ours = grams(read_arpa(HERE / "lmplz.arpa")), grams(found.table)
    assert set(ours) == set(theirs) and len(ours) == 748
    for gram, values in theirs.items():
        assert ours[gram] == pytest.approx(values, abs=1e-5)
    assert [bool(used.fallback) for used in found.discounts] == [True, False, False, False]
    assert (found.sentences, found.words, found.unknown) == (len(text), sum(len(line.split()) for line in text), 0)


texts = st.lists(st.lists(st.sampled_from("aaabbcdefg"), max_size=6), min_size=1, max_size=7).filter(any)


@settings(max_examples=60)
@given(texts, st.integers(1, 5), st.sampled_from([None, 1, 3]), st.sampled_from([1, 2]))
def test_probabilities_after_every_history_sum_to_one(text, order, vocabulary, min_count):
    assume(max(Counter(chain.from_iterable(text)).values()) >= min_count)
    model = NgramModel.from_table(estimate(text, order, vocabulary, min_count).table)
    predicted = [number for number, word in enumerate(model.words) if word != "<s>"]
    for history in range(len(model.arrays.suffix)):
        total = sum(np.exp(advance(model.arrays, history, word)[0]) for word in predicted)
        assert total == pytest.approx(1, abs=1e-5)


def test_a_pair_by_hand():
    """Two words, fallback discounts: the counts of b, c and </s> are the words before them."""
    found = grams(estimate([["b", "c"], ["c"]], 2).table)
    once, twice, _ = FALLBACK
    # adjusted counts: b 1 (<s>), c 2 (<s>, b), </s> 1 (c); uniform over <unk>, </s>, b, c
    left = (once + twice + once) / 4
    c = (2 - twice) / 4 + left / 4
    assert found["c"][0] == pytest.approx(np.log10(c))
    assert found["<unk>"][0] == pytest.approx(np.log10(left / 4))
    # after <s> come b and c, each once
    assert found["<s>"][1] == pytest.approx(np.log10(2 * once / 2))
    assert found["<s> c"][0] == pytest.approx(np.log10((1 - once) / 2 + once * c))


def test_vocabulary_keeps_the_most_frequent():
    text = [["x", "b", "b", "a"], ["a", "b", "x", "c"]]
    assert estimate(text, 2).table.words == ("<unk>", "<s>", "</s>", "b", "x", "a", "c")
    found = estimate(text, 2, vocabulary=2)
    assert found.table.words == ("<unk>", "<s>", "</s>", "b", "x")
    assert (found.words, found.unknown) == (8, 3)
    assert estimate(text, 2, min_count=2).table.words[3:] == ("b", "x", "a")
    with pytest.raises(LanguageModelError, match="no word occurs 4 times"):
        estimate(text, 2, min_count=4)
    assert "<unk> <unk>" not in grams(found.table) and "b <unk>" in grams(found.table)


def test_unknown_words_that_are_counted_are_likelier():
    text = [[*"abcde"], [*"abxyz"]] * 3
    assert grams(estimate(text, 1, min_count=4).table)["<unk>"] > grams(estimate(text, 1).table)["<unk>"]


def test_empty_sentences_count_as_ends():
    assert "<s> </s>" in grams(estimate([["a"], []], 3).table)


def test_discounts_say_why_they_fall_back():
    (used,) = estimate([["a"]], 1).discounts
    assert used[:3] == FALLBACK and used.fallback == "no 1-gram has the count 2"


@pytest.mark.parametrize(
    ("text", "order", "complaint"),
    [
        ([], 2, "no words"),
        ([[], []], 2, "no words"),
        ([["a"]], 0, "1 to 10"),
        ([["a"]], 11, "1 to 10"),
        ([["a", "</s>"]], 2, "</s> as a word; remove"),
    ],
)
def test_refuses(text, order, complaint):
    with pytest.raises(LanguageModelError, match=complaint):
        estimate(text, order)


def test_model_ids_of_one_text_are_equal(tmp_path):
    model = NgramModel.from_table(estimate([[*"abcab"], [*"cab"]], 3).table)
    model.save(tmp_path / "x.arpa")
    assert NgramModel.load(tmp_path / "x.arpa").model_id == model.model_id
