"""Comparisons: sclite's own figures, exact probabilities where they can be counted, false alarms by simulation."""

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.score import Pair, difference, matched_pairs
from asr.score.compare import segments

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
    assert found.p == pytest.approx(2.06e-7, rel=0.01)


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


counts = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(1, 9)), min_size=1, max_size=7)


@given(counts)
def test_few_differing_utterances_are_counted_out(rows):
    """All ways to exchange the two results of an utterance are equally likely if the recognisers are equally good."""
    first, second, words = map(np.array, zip(*rows, strict=True))
    seen = abs((second - first).sum())
    ways = [
        abs(sum(sign * (b - a) for sign, a, b in zip(signs, first, second, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(rows))
    ]
    found = difference(first, second, words)
    assert found.p == pytest.approx(np.mean(np.array(ways) >= seen))
    assert found.low <= found.value <= found.high
    assert found.method.startswith("exact: ")


@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_the_order_of_the_two_changes_signs_only(seed):
    rng = np.random.default_rng(seed)
    first, second, words = rng.poisson(0.5, 60), rng.poisson(0.8, 60), rng.integers(1, 20, 60)
    there, back = difference(first, second, words), difference(second, first, words)
    assert (back.value, back.low, back.high) == pytest.approx((-there.value, -there.high, -there.low))
    assert back.p == there.p
    assert (there.low <= 0 <= there.high) == (there.p > 0.05) or abs(there.p - 0.05) < 0.002


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


def false_alarms(rate: float, trials: int) -> float:
    rng = np.random.default_rng(23)
    return float(np.mean([difference(*equally_good(rng, rate), seed=trial).p <= 0.05 for trial in range(trials)]))


def test_rarely_alarmed_where_there_is_nothing():
    assert 0.0 < false_alarms(0.1, 150) < 0.10  # of 150 trials, a true 5 % stays below 10 % with 99.6 %


@pytest.mark.long
@pytest.mark.parametrize("rate", [0.01, 0.05, 0.1, 0.3])
def test_false_alarms_of_1_000_comparisons(rate):
    """Five percent are asked for, give or take two; with the few errors of 1 % WER the tests are more careful."""
    found = false_alarms(rate, 1000)
    print(f"false alarms at {rate:.0%} WER: {found:.1%}")
    assert (0.01 if rate == 0.01 else 0.03) <= found <= 0.07


def test_a_real_difference_is_seen():
    rng = np.random.default_rng(5)
    first, second, words = equally_good(rng, 0.1, 600)
    found = difference(first + rng.binomial(words, 0.04), second, words)
    assert found.value == pytest.approx(-0.04, abs=0.03)
    assert found.low < found.high < 0 and found.p < 0.01


@pytest.mark.parametrize(("rows", "p"), [("SS", 0.5), ("SSSSS", 2**-4), ("SSSSSD", 2**-5), ("S" * 30, 2**-29)])
def test_a_handful_of_segments_follows_no_normal_law(rows, p):
    """Nor do any number that are all alike: p would be 0."""
    right, wrong = [alignment("C") for _ in rows], [alignment(row) for row in rows]
    assert matched_pairs(right, wrong).p == p
