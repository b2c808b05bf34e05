"""Confidences against the truth: the three figures, each against its definition written out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import ScoreError
from asr.score.calibration import reliability

judged = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=60)


@given(judged)
def test_auroc_is_the_share_of_pairs_in_order(words):
    confidences, correct = zip(*words, strict=True)
    right = [one for one, is_right in words if is_right]
    wrong = [one for one, is_right in words if not is_right]
    found = reliability(confidences, correct)
    if not right or not wrong:
        assert found.auroc is None and found.nce is None
        return
    pairs = [(a > b) + 0.5 * (a == b) for a in right for b in wrong]
    assert found.auroc == pytest.approx(sum(pairs) / len(pairs))


@given(judged)
def test_one_bin_compares_the_means(words):
    confidences, correct = zip(*words, strict=True)
    found = reliability(confidences, correct, bins=1)
    assert found.ece == pytest.approx(abs(np.mean(confidences) - np.mean(correct)))


@given(judged, st.integers(1, 20))
def test_bins_hold_all_words_in_order(words, bins):
    found = reliability(*zip(*words, strict=True), bins=bins)
    sizes = [row.words for row in found.bins]
    assert sum(sizes) == found.words == len(words)
    assert max(sizes) - min(sizes) <= 1
    assert [row.confidence for row in found.bins] == sorted(row.confidence for row in found.bins)


@given(judged, st.randoms())
def test_the_order_of_the_words_does_not_matter(words, random):
    """Words of one confidence may lie in two bins, and then it must not be chance which of them are the right ones."""
    shuffled = list(words)
    random.shuffle(shuffled)
    first, second = (reliability(*zip(*one, strict=True)) for one in (words, shuffled))
    assert first.ece == pytest.approx(second.ece)


def test_saying_the_share_of_correct_words_is_worth_nothing():
    correct = [True] * 30 + [False] * 10
    found = reliability([0.75] * 40, correct)
    assert found.nce == pytest.approx(0, abs=1e-9)
    assert found.ece == pytest.approx(0)
    assert found.auroc == 0.5


def test_the_truth_is_worth_everything_and_its_opposite_less_than_nothing():
    correct = [True, False, True, False]
    assert reliability([1.0, 0.0, 1.0, 0.0], correct).nce == pytest.approx(1, abs=1e-5)
    opposite = reliability([0.1, 0.9, 0.1, 0.9], correct)
    assert opposite.nce < 0
    assert opposite.auroc == 0


@pytest.mark.parametrize(
    ("confidences", "correct"), [([], []), ([0.5], [True, False]), ([1.2], [True]), ([float("nan")], [True])]
)
def test_what_cannot_be_judged_is_refused(confidences, correct):
    with pytest.raises(ScoreError):
        reliability(confidences, correct)
