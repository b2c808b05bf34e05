"""Comparisons: sclite's own figures, exact probabilities where they can be counted, false alarms by simulation."""

import itertools
import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.score import Pair, difference, matched_pairs
from asr.score.significance import segments, sign_flip_p

# Made by sclite and sc_stats (sctk 2.4.12) of two spoilt copies of 60 made-up sentences: each copy's alignments in
# sclite's letters, and what its "Matched Pairs Sentence-Segment Word Error" test printed of them.
SCLITE = json.loads((Path(__file__).parent / "sclite_pairs.json").read_text(encoding="utf-8"))


def alignment(kinds: str) -> list[Pair]:
    """An alignment whose words are as sclite marks them: Correct, Substituted, Inserted, Deleted."""
    made = {"C": Pair("a", "a"), "S": Pair("a", "b"), "I": Pair(None, "b"), "D": Pair("a", None)}
    return [made[kind] for kind in kinds]


def test_matched_pairs_are_those_of_sclite():
    found = matched_pairs(*(map(alignment, SCLITE[name]) for name in "ab"))
    assert found.segments == SCLITE["segments"]
    assert (round(found.mean, 3), round(found.z, 3)) == (SCLITE["mean"], SCLITE["z"])
    assert found.p == pytest.approx(4.61e-7, rel=0.01)  # by the normal distribution, 2.06e-7


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("CCC", "CCC", []),
        ("", "", []),
        ("SCCS", "CCCC", [(1, 0), (1, 0)]),
        ("SCS", "CCC", [(2, 0)]),  # one word between: still the same segment
        ("CCSCCC", "CCCSCC", [(1, 1)]),
        ("CCICC", "CCCC", [(1, 0)]),
        ("SCICS", "SCCC", [(3, 1)]),  # what is inserted parts the words that both recognised
        ("II", "", [(2, 0)]),
        ("CCCD", "CCCCI", [(1, 1)]),
    ],
)
def test_segments_end_where_both_recognised_two_words(first, second, expected):
    assert segments(alignment(first), alignment(second)) == expected


def test_references_must_be_the_same():
    with pytest.raises(ValueError):
        matched_pairs([alignment("CC")], [alignment("C")])


def test_two_recognisers_that_do_the_same_do_not_differ():
    same = [alignment(kinds) for kinds in SCLITE["a"]]
    assert matched_pairs(same, same)[1:] == (0.0, 0.0, 1.0)
    errors = [1, 0, 2, 0] * 20
    found = difference(errors, errors, [5] * 80)
    assert (found.value, found.p) == (0.0, 1.0)
    assert found.low < 0 < found.high


counts = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(1, 9)), min_size=1, max_size=11)
changes_of = st.lists(st.integers(-5, 5), max_size=40).map(np.array)


@settings(max_examples=50, deadline=None)
@given(counts)
def test_p_is_that_of_all_ways_to_exchange_results(rows):
    """They are equally likely if the recognisers are equally good; here they are counted out, one by one."""
    first, second, words = map(np.array, zip(*rows, strict=True))
    seen = abs((second - first).sum())
    ways = [
        abs(sum(sign * (b - a) for sign, a, b in zip(signs, first, second, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(rows))
    ]
    found = difference(first, second, words)
    assert found.p == pytest.approx(np.mean(np.array(ways) >= seen))
    assert found.low <= found.value <= found.high


def test_p_of_many_utterances_is_that_of_all_ways_too():
    """Counted here in whole numbers, by the sum that the ways lead to."""
    changes = np.random.default_rng(3).integers(-6, 8, 300)
    ways = Counter({0: 1})
    for change in changes.tolist():
        ways = Counter({total: ways[total - change] + ways[total + change] for total in range(-1800, 1801)})
    far = sum(number for total, number in ways.items() if abs(total) >= abs(changes.sum()))
    assert sign_flip_p(changes) == pytest.approx(far / 2 ** len(changes), rel=1e-9)


@pytest.mark.parametrize(("wins", "losses"), [(7, 0), (8, 0), (7, 1), (6, 2), (20, 0), (14, 6), (21, 0), (15, 6)])
def test_where_one_error_makes_all_differences_it_is_the_sign_test(wins, losses):
    """From few to many differing utterances there is no jump, although the interval's method changes at eight."""
    count = wins + losses
    first, second = np.zeros((2, 1000), dtype=int)
    first[:wins] = 1
    second[wins:count] = 1
    found = difference(first, second, [10] * 1000)
    assert found.p == pytest.approx(2 * sum(math.comb(count, k) for k in range(losses + 1)) / 2**count)
    interval = "bootstrap-t over 1,000 utterances, 4,000 resamples" if count >= 8 else "interval after Newcombe"
    assert found.method == f"{interval}; exact p by sign flips of {count} differing utterances"


@given(changes_of, st.integers(1, 6))
def test_one_more_win_never_raises_p(changes, by):
    towards_first = 1 if changes.sum() >= 0 else -1
    more = np.append(changes, towards_first * by).astype(int)
    assert sign_flip_p(more) <= sign_flip_p(changes.astype(int)) * (1 + 1e-12)


@given(changes_of)
def test_p_is_symmetric_and_a_probability(changes):
    changes = changes.astype(int)
    assert 0 < sign_flip_p(changes) == sign_flip_p(-changes) == sign_flip_p(changes[::-1]) <= 1


def test_p_is_as_often_that_small_as_it_says():
    """Of all results that two equally good recognisers could exchange, a fraction p has a p of at most p."""
    sizes = np.array([1, 1, 1, 2, 2, 3, 1, 4, 1, 6])
    found = np.array([sign_flip_p(sizes * signs) for signs in itertools.product((1, -1), repeat=len(sizes))])
    for p in np.unique(found):
        assert np.mean(found <= p) == pytest.approx(p)


def test_p_of_thousands_of_utterances_that_all_say_the_same_is_not_0():
    assert 0 < sign_flip_p(np.ones(5000, dtype=int)) < 1e-300


def test_errors_are_whole_numbers():
    with pytest.raises(TypeError, match="float64"):
        difference([0.5, 1], [1, 1], [4, 4])


@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_the_order_of_the_two_changes_signs_only(seed):
    rng = np.random.default_rng(seed)
    first, second, words = rng.poisson(0.5, 60), rng.poisson(0.8, 60), rng.integers(1, 20, 60)
    there, back = difference(first, second, words), difference(second, first, words)
    assert (back.value, back.low, back.high) == pytest.approx((-there.value, -there.high, -there.low))
    assert back.p == there.p
    # Of two methods, interval and p may disagree, but not where either is sure.
    assert (there.low <= 0 <= there.high) == (there.p > 0.05) or 0.01 < there.p < 0.15


def test_one_recogniser_never_better_in_many_utterances():
    found = difference([1] * 50, [2] * 50, [10] * 50)  # no spread: there is nothing to draw
    assert found.p == 2.0**-49 and found.value == pytest.approx(0.1)
    assert found.low > 0


def test_pitfall_no_reference_word_has_no_difference():
    found = difference([1, 2], [0, 0], [0, 0])
    assert math.isnan(found.value) and found.method == "no reference words"


def equally_good(rng: np.random.Generator, rate: float, utterances: int = 130):
    """Errors of two recognisers that are as good as each other, in sentences that are hard for both or for neither."""
    words = np.minimum(rng.geometric(1 / 8, utterances) + 1, 30)
    shared = rng.beta(4 * rate, 4 * (1 - rate), utterances)
    own = rng.beta(4 * rate, 4 * (1 - rate), (2, utterances))
    first, second = rng.binomial(words, 0.7 * shared + 0.3 * own)
    return first, second, words


def false_alarms(rate: float, trials: int) -> tuple[float, float]:
    """How often p is at most 0.05, and how often the interval excludes 0, for equally good recognisers."""
    rng = np.random.default_rng(23)
    found = [difference(*equally_good(rng, rate), seed=trial) for trial in range(trials)]
    excluded = [not one.low <= 0 <= one.high for one in found]
    return float(np.mean([one.p <= 0.05 for one in found])), float(np.mean(excluded))


def test_rarely_alarmed_where_there_is_nothing():
    by_p, by_interval = false_alarms(0.1, 150)
    assert 0.0 < by_p < 0.10 and 0.0 < by_interval < 0.10  # a true 5 % stays below 10 % of 150 trials with 99.6 %


@pytest.mark.long
@pytest.mark.parametrize("rate", [0.01, 0.05, 0.1, 0.3])
def test_false_alarms_of_1_000_comparisons(rate):
    """Five percent are asked for, give or take two; with the few errors of 1 % WER both are more careful."""
    by_p, by_interval = false_alarms(rate, 1000)
    print(f"false alarms at {rate:.0%} WER: {by_p:.1%} by p, {by_interval:.1%} by the interval")
    least = 0.01 if rate == 0.01 else 0.03
    assert least <= by_p <= 0.07 and least <= by_interval <= 0.07


def test_a_real_difference_is_seen():
    rng = np.random.default_rng(5)
    first, second, words = equally_good(rng, 0.1, 600)
    found = difference(first + rng.binomial(words, 0.04), second, words)
    assert found.value == pytest.approx(-0.04, abs=0.03)
    assert found.low < found.high < 0 and found.p < 0.01


@pytest.mark.parametrize("rows", ["SS", "SSSSS", "SSSSSD", "S" * 8, "S" * 30])
def test_segments_have_an_exact_p(rows):
    """By the normal distribution, p would be 0 where all are alike."""
    right, wrong = [alignment("C") for _ in rows], [alignment(row) for row in rows]
    assert matched_pairs(right, wrong).p == 2.0 ** (1 - len(rows))
