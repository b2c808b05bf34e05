"""Confidence intervals: by simulation they must cover the truth as often as they say."""

import math

import numpy as np
import pytest

from asr.score import wer_interval
from asr.score.interval import bootstrapped


def simulate(rng: np.random.Generator, rate: float, utterances: int, correlation: float):
    """Errors and words of a test set whose utterances differ in difficulty (beta-binomial, plus insertions)."""
    words = np.minimum(rng.geometric(1 / 5, size=utterances) + 1, 30)
    a, b = rate * (1 - correlation) / correlation, (1 - rate) * (1 - correlation) / correlation
    difficulty = rng.beta(a, b, size=utterances)
    return rng.binomial(words, 0.85 * difficulty) + rng.poisson(0.15 * difficulty * words), words


def coverage(rate: float, sets: int, seed: int) -> float:
    """How often the interval of a set of 130 utterances holds the true rate."""
    rng = np.random.default_rng(seed)
    hits = 0
    for trial in range(sets):
        errors, words = simulate(rng, rate, 130, correlation=0.1)
        low, high, _ = wer_interval(errors, words, seed=trial)
        hits += low <= rate <= high
    return hits / sets


@pytest.mark.parametrize(("rate", "least"), [(0.01, 0.92), (0.05, 0.91), (0.3, 0.91)])
def test_covers_the_true_rate(rate, least):
    # 200 sets place the coverage within +- 3 %: enough to catch an interval over words, which covers 85 to 88 % here.
    assert coverage(rate, 200, seed=11) >= least


@pytest.mark.long
@pytest.mark.parametrize(
    ("rate", "least", "most"), [(0.01, 0.93, 1), (0.05, 0.93, 0.97), (0.1, 0.93, 0.97), (0.3, 0.93, 0.97)]
)
def test_covers_the_true_rate_of_1_000_sets(rate, least, most):
    found = coverage(rate, 1000, seed=12)
    print(f"coverage at {rate:.0%} WER: {found:.1%}")
    assert least <= found <= most


def test_method_follows_the_number_of_errors():
    words = np.full(100, 10)
    few, many = np.zeros(100), np.zeros(100)
    few[:19] = 1
    many[:10] = [1, 2, 3] * 3 + [2]
    assert wer_interval(few, words).method.startswith("Wilson-type")
    assert wer_interval(many, words).method == "bootstrap-t over 100 utterances, 4,000 resamples"
    assert bootstrapped(few, words, units="speakers") is None
    assert "over 100 speakers" in bootstrapped(many, words, units="speakers").method


@pytest.mark.parametrize("wrong", [50, 49, 47, 45])
def test_where_nearly_all_is_wrong_it_is_the_right_that_are_few(wrong):
    """Single words: the bootstrap would see no spread in the few that are right."""
    errors = np.arange(50) < wrong
    found, mirrored = wer_interval(errors, np.ones(50)), wer_interval(~errors, np.ones(50))
    assert (found.low, found.high) == pytest.approx((1 - mirrored.high, 1 - mirrored.low))
    assert found.high <= 1 and found.low < wrong / 50


@pytest.mark.parametrize(("count", "length"), [(10, 1), (20, 1), (5, 4)])
def test_another_wrong_word_never_lowers_a_bound(count, length):
    """Where each word is as likely to be wrong: utterances of one or of a few words.

    As long as the method is the same: where the twentieth error brings the bootstrap in, a bound may drop.
    """
    bounds = []
    for wrong in range(count * length + 1):
        errors = np.bincount(np.arange(wrong) % count, minlength=count)
        found = wer_interval(errors, np.full(count, length))
        bounds.append((found.low, found.high))
    assert bounds == sorted(bounds) and [high for _, high in bounds] == sorted(high for _, high in bounds)
    assert bounds[-1][1] <= 1 + 1e-9


def test_errors_in_one_utterance_are_not_left_to_the_bootstrap():
    errors = np.zeros(100)
    errors[3] = 25  # a third of all resamples would show no error at all
    low, high, method = wer_interval(errors, np.full(100, 30))
    assert method.startswith("Wilson-type")
    assert low < 25 / 3000 < high < 0.1


@pytest.mark.parametrize("errors", [[0] * 5, [1] * 40, [3], [30] * 12, [0] * 11 + [1]])
def test_holds_the_estimate_and_is_never_a_point(errors):
    words = [10] * len(errors)
    low, high, _ = wer_interval(errors, words)
    assert 0 <= low <= sum(errors) / sum(words) < high


def test_clustered_errors_make_it_wider():
    words = np.full(200, 10)
    spread, clustered = np.zeros(200), np.zeros(200)
    spread[:100] = 1
    clustered[:10] = 10
    bounds = [wer_interval(errors, words) for errors in (spread, clustered)]
    widths = [interval.high - interval.low for interval in bounds]
    assert widths[1] > 2 * widths[0]


def test_long_utterances_count_for_less_when_no_error_is_seen():
    short, long = wer_interval([0] * 1000, [1] * 1000), wer_interval([0] * 10, [100] * 10)
    assert long.high > 2 * short.high > 0


def test_equal_seeds_give_equal_intervals():
    errors, words = simulate(np.random.default_rng(2), 0.2, 50, correlation=0.1)
    assert wer_interval(errors, words, seed=1) == wer_interval(errors, words, seed=1)
    assert wer_interval(errors, words, seed=1) != wer_interval(errors, words, seed=2)


def test_utterances_without_words_count_their_insertions():
    errors, words = [1, 0, 2, 1, 0, 3] * 10, [5, 4, 6, 5, 5, 0] * 10
    low, high, _ = wer_interval(errors, words)
    assert low < 70 / 250 < high


def test_pitfall_no_reference_word_has_no_interval():
    low, high, method = wer_interval([1, 2], [0, 0])
    assert math.isnan(low) and math.isnan(high)
    assert method == "no reference words"
