"""A 95 % confidence interval for a pooled error rate: how far the rate could be off by the luck of the utterances.

Errors of one utterance come together (one speaker, one noise), so the unit drawn is the utterance (or speaker), never
the word. With enough errors the interval is bootstrap-t (Efron & Tibshirani 1993, ch. 12; for error rates Bisani & Ney
2004), which follows the skew that percentile intervals miss. A handful of errors cannot show its own spread:
there, and where nearly all words are wrong, it is a score interval in Wilson's manner (Wilson 1927), widened by a
design effect (Kish 1965).

`tests/score/test_interval.py` measures the coverage.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

LEVEL = 0.95
_Z = NormalDist().inv_cdf((1 + LEVEL) / 2)
_RESAMPLES = 4000
_MIN_ERRORS = 20  # below either, resamples without any error are frequent enough to spoil the bootstrap's quantiles
MIN_UNITS = 8  # units that have an error
# Smallest intra-utterance correlation assumed where there are too few errors to see one. At 1 % WER and a true 0.2,
# intervals that assume 0 cover 90 % of the time, with this 94 %.
_CORRELATION = 0.07
_CHUNK = 2_000_000  # draws held in memory at once

Array = npt.NDArray[np.float64]


class Interval(NamedTuple):
    """Bounds as fractions, and how they were found, in words."""

    low: float
    high: float
    method: str


def wer_interval(errors: npt.ArrayLike, words: npt.ArrayLike, seed: int = 0) -> Interval:
    """95 % confidence interval for sum(errors) / sum(words), over utterances.

    Args:
        errors: (utterances,) errors of each.
        words: (utterances,) words in its reference; may be 0.
        seed: Of the resampling; equal seeds give equal intervals.

    Returns:
        The interval; NaN bounds where there is no word.
    """
    if np.sum(words) == 0:
        return Interval(math.nan, math.nan, "no reference words")
    return bootstrapped(errors, words, seed) or wilson(np.asarray(errors, float), np.asarray(words, float))


def bootstrapped(
    errors: npt.ArrayLike, words: npt.ArrayLike, seed: int = 0, units: str = "utterances"
) -> Interval | None:
    """The interval by bootstrap-t, of utterances or of larger units; None where too few errors show too little.

    Args:
        errors: (units,) errors of each unit.
        words: (units,) its reference words; may be 0, but not all.
        seed: Of the resampling.
        units: What they are, for the description of the method.
    """
    data = np.stack([np.asarray(errors, dtype=np.float64), np.asarray(words, dtype=np.float64)])
    enough = data[0].sum() >= _MIN_ERRORS and np.count_nonzero(data[0]) >= MIN_UNITS and _unlike(data) >= MIN_UNITS
    if not (enough and (found := studentised(data[0], data[1], seed))):
        return None
    low, high = np.quantile(found.t, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    # The quantiles change sides: where resamples came out too high, the truth is likely to be below the estimate.
    bounds = (
        max(0.0, found.rate - float(high) * found.standard_error),
        found.rate - float(low) * found.standard_error,
    )
    return Interval(*bounds, bootstrap_method(data.shape[1], units))


def _unlike(data: Array) -> int:
    """How many units, (2, units) errors and words, do not have the rate that most of them have."""
    rates = data[0][data[1] > 0] / data[1][data[1] > 0]
    return len(rates) - int(np.unique(rates, return_counts=True)[1].max())


def bootstrap_method(count: int, units: str) -> str:
    """What a bootstrap over so many units is called in a report."""
    return f"bootstrap-t over {count:,} {units}, {_RESAMPLES:,} resamples"


class Studentised(NamedTuple):
    """A ratio of sums over units, and how far resampling moves it.

    Attributes:
        rate: The ratio.
        standard_error: Of the ratio, linearised.
        t: (resamples,) how far each resample's ratio is from `rate`, in standard errors of its own.
    """

    rate: float
    standard_error: float
    t: Array


def studentised(errors: Array, words: Array, seed: int) -> Studentised | None:
    """Resample sum(errors) / sum(words), (units,) each; None where units do not differ, so there is nothing to draw."""
    moments = _moments(errors, words)
    rate, standard_error = _ratio(moments.sum(axis=0), len(errors))
    if standard_error == 0:
        return None
    draws = _resampled(moments, np.random.default_rng(seed))
    draws = draws[draws[:, 1] > 0]  # at least one word
    rates, standard_errors = _ratio(draws, len(errors))
    usable = standard_errors > 0
    return Studentised(float(rate), float(standard_error), (rates[usable] - rate) / standard_errors[usable])


def wilson(errors: Array, words: Array) -> Interval:
    """Score interval for (units,) errors and words: all rates r within z standard errors of the estimate, by r's own.

    There must be a word. The variance of r is taken as effect x r (1 - r) / words, as Wilson has it; where a unit has
    more errors than words, which insertions make possible, it is effect x r / words (Poisson's), for r has no end.
    With n = words / effect the bounds solve (rate - r)^2 = z^2 r (1 - r) / n, or z^2 r / n.
    """
    units, total = len(errors), float(words.sum())
    rate, standard_error = _ratio(_moments(errors, words).sum(axis=0), units)
    bounded = 1.0 if (errors <= words).all() else 0.0
    effect = 1 + _CORRELATION * (float((words**2).sum()) / total - 1)
    if units > 1 and (variance := rate * (1 - bounded * rate)) > 0:
        effect = max(effect, float(standard_error**2 * total / variance))
    shift = _Z**2 * effect / total
    centre = (rate + shift / 2) / (1 + bounded * shift)
    reach = math.sqrt(shift * rate * (1 - bounded * rate) + shift**2 / 4) / (1 + bounded * shift)
    method = f"Wilson-type score interval, design effect {effect:.1f}"
    return Interval(max(0.0, float(centre) - reach), float(centre) + reach, method)


def _moments(errors: Array, words: Array) -> Array:
    """(units, 5): all that a resample's ratio and its standard error need, additive over units."""
    return np.stack([errors, words, errors**2, errors * words, words**2], axis=1)


def _ratio(sums: Array, units: int) -> tuple[Array, Array]:
    """Ratio and its linearised standard error from summed moments (..., 5) of so many units."""
    e, w, ee, ew, ww = np.moveaxis(sums, -1, 0)
    ratio = e / w
    squares = ee - 2 * ratio * ew + ratio**2 * ww  # sum of (errors - ratio x words)^2
    squares = np.where(squares > 1e-12 * ee, squares, 0.0)  # less than that is rounding
    return ratio, np.sqrt(squares * units / max(units - 1, 1)) / w


def _resampled(moments: Array, rng: np.random.Generator) -> Array:
    """(resamples, 5) summed moments of units drawn with replacement."""
    units = len(moments)
    rows = max(1, _CHUNK // units)
    sums = []
    for start in range(0, _RESAMPLES, rows):
        count = min(rows, _RESAMPLES - start)
        picks = rng.integers(units, size=(count, units)) + units * np.arange(count)[:, None]
        times = np.bincount(picks.ravel(), minlength=count * units).reshape(count, units)
        sums.append(times @ moments)
    return np.concatenate(sums)
