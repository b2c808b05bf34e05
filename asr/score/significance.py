"""Two recognisers on the same utterances: is one better, or was it luck?

Both heard the same sentences, so what counts is by how much they differ on each; what is hard for both cancels out.
Two tests, each with a p-value: how often two equally good recognisers would differ as much as these.

- Over utterances: the difference of the error rates. Its interval is from a bootstrap of whole utterances (Bisani & Ney
  2004), studentised and symmetric (Efron & Tibshirani 1993, ch. 12; Hall 1992, section 3.6), or Newcombe's (1998) where
  few utterances differ.
- Over segments: MAPSSWE, the matched pairs of NIST's sclite (Gillick & Cox 1989). Segments are what lies between words
  that both recognised, and are taken to err independently of each other, even within one utterance: more of them than
  utterances, so it sees smaller differences, and believes a little too readily in them.

Both take p from the same exact test, `sign_flip_p`, however many utterances or segments there are: a p-value from one
method for few and from another for many would jump where they meet, and an eighth win could look like less evidence
than seven.

`tests/score/test_significance.py` measures how often each is alarmed where there is nothing.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from asr.score.interval import LEVEL, MIN_UNITS, Array, bootstrap_method, studentised, wilson
from asr.score.wer import Pair
from asr.wording import counted

_BUFFER = 2  # words that both recognised, between two segments: errors further apart do not cause each other


class Difference(NamedTuple):
    """By how much two error rates differ.

    Attributes:
        value: Rate of the second minus rate of the first; below 0 the second is better.
        low: Of its 95 % confidence interval.
        high: See above.
        p: Probability that two equally good recognisers differ at least as much, in either direction; in (0, 1].
        method: How the interval and p were found, in words.
    """

    value: float
    low: float
    high: float
    p: float
    method: str


class MatchedPairs(NamedTuple):
    """MAPSSWE: sentence segments that two recognisers are compared on.

    Attributes:
        segments: How many there are with an error of at least one recogniser.
        mean: Errors of the second minus errors of the first in a segment, in the mean.
        z: That in standard errors.
        p: Two-sided, in (0, 1]; exact, where sclite has the normal distribution's for z.
    """

    segments: int
    mean: float
    z: float
    p: float


def difference(
    first: npt.ArrayLike, second: npt.ArrayLike, words: npt.ArrayLike, seed: int = 0, units: str = "utterances"
) -> Difference:
    """The difference of two pooled error rates on the same units.

    Args:
        first: (units,) errors of one recogniser in each utterance (or speaker), whole numbers.
        second: (units,) errors of the other.
        words: (units,) words in the reference; may be 0.
        seed: Of the interval's resampling; equal seeds give equal intervals. p does not depend on it.
        units: What the units are, for the description of the method.

    Returns:
        The difference; NaN everywhere where there is no word.

    Raises:
        TypeError: Errors are not integers.
    """
    weights = np.asarray(words, dtype=np.float64)
    if weights.sum() == 0:
        return Difference(math.nan, math.nan, math.nan, math.nan, "no reference words")
    errors = np.stack([np.asarray(first), np.asarray(second)]).astype(np.int64, casting="same_kind")
    changes = errors[1] - errors[0]
    value = float(changes.sum() / weights.sum())
    differing = int(np.count_nonzero(changes))
    exact = f"exact p by sign flips of {counted(differing, 'differing ' + units.removesuffix('s'))}"
    if differing >= MIN_UNITS and (found := studentised(changes.astype(np.float64), weights, seed)):
        reach = float(np.quantile(np.abs(found.t), LEVEL)) * found.standard_error
        low, high, interval = value - reach, value + reach, bootstrap_method(len(changes), units)
    else:
        low, high = _newcombe(changes.astype(np.float64), weights)
        interval = "interval after Newcombe"
    # An exchange of two results leaves the words as they are, so errors differ as the rates do.
    return Difference(value, low, high, sign_flip_p(changes), f"{interval}; {exact}")


def sign_flip_p(changes: npt.NDArray[np.int64]) -> float:
    """Two-sided p-value of the paired randomisation test (Fisher 1935, section 21), exact for any number of units.

    If two recognisers are equally good, their results on a unit could as well be exchanged, which flips the sign of its
    change. p is the fraction of all 2^units ways to flip signs that take the sum of the changes at least as far from 0
    as it is. Changes are whole numbers, so this needs neither an enumeration nor a random sample of the ways
    (approximate randomisation, Noreen 1989): the distribution of sums is built up unit by unit, each shifting what was
    there before (the shift algorithm, Streitberg & Röhmel 1986), in at most units x errors steps.

    Args:
        changes: (units,) errors of the second recogniser minus errors of the first in each unit (an utterance, a
            segment).

    Returns:
        p in (0, 1]; 1 where nothing differs.
    """
    sizes = np.abs(changes[changes != 0])
    # A flip decides which recogniser has a unit's surplus of errors. Both surpluses together are always the same, so
    # they differ at least as much as observed where either is at most the smaller one observed: by symmetry, p is
    # twice the probability that the first recogniser's is.
    smaller = int(sizes.sum() - abs(changes.sum())) // 2
    chances = np.zeros(smaller + 1)  # that its surplus in the units so far is 0, 1, ... `smaller` errors
    chances[0] = 1.0
    for size in sizes:
        chances[size:] += chances[: max(0, smaller + 1 - size)]
        chances /= 2
    # Where over a thousand units all favour one recogniser, p would round to 0, which it never is.
    return float(np.clip(2 * chances.sum(), sys.float_info.min, 1.0))


def _newcombe(changes: Array, words: Array) -> tuple[float, float]:
    """A 95 % interval from few differing units: Newcombe's (1998) square-and-add, of what each recogniser did worse."""
    worse, better = np.maximum(changes, 0), np.maximum(-changes, 0)
    total = float(words.sum())
    up, down = float(worse.sum()) / total, float(better.sum()) / total
    above, below = wilson(worse, words), wilson(better, words)
    low = up - down - math.hypot(up - above.low, below.high - down)
    return low, up - down + math.hypot(above.high - up, down - below.low)


def matched_pairs(first: Iterable[Sequence[Pair]], second: Iterable[Sequence[Pair]]) -> MatchedPairs:
    """MAPSSWE over the word alignments of two recognisers with the same references, in the same order.

    Segments, mean and z are sclite's. p is not the normal distribution's, to which few segments are no close match (by
    it, seven won and one lost have a p of 0.003 instead of 0.07), but that of `sign_flip_p`.

    Args:
        first: Alignments of one recogniser, one per utterance.
        second: Those of the other.

    Raises:
        ValueError: The references are not the same.
    """
    changes = np.array(
        [b - a for pairs in zip(first, second, strict=True) for a, b in segments(*pairs)], dtype=np.int64
    )
    count = len(changes)
    if count < 2 or not changes.any():
        return MatchedPairs(count, float(changes.mean()) if count else 0.0, 0.0, 1.0)
    mean, standard_error = float(changes.mean()), float(changes.std(ddof=1)) / math.sqrt(count)
    z = mean / standard_error if standard_error else math.copysign(math.inf, mean)
    return MatchedPairs(count, mean, z, sign_flip_p(changes))


def segments(first: Sequence[Pair], second: Sequence[Pair]) -> list[tuple[int, int]]:
    """One utterance's segments: errors of both recognisers in each that has any.

    A segment ends where `_BUFFER` words in a row, with nothing inserted between, were recognised by both.
    """
    rows = list(zip(*map(_by_word, (first, second)), strict=True))
    found: list[tuple[int, int]] = []
    gap = _BUFFER  # words recognised by both since the last error
    for a, b in rows:
        for place in (0, 1):  # before a word, what was inserted; then the word
            errors = a[place], b[place]
            if any(errors):
                if gap >= _BUFFER:
                    found.append((0, 0))
                found[-1] = found[-1][0] + errors[0], found[-1][1] + errors[1]
                gap = 0
            elif place:
                gap += 1
    return found


def _by_word(pairs: Sequence[Pair]) -> list[tuple[int, int]]:
    """For each reference word, and once more for the end: words inserted before it, and whether it is wrong."""
    rows: list[tuple[int, int]] = []
    inserted = 0
    for pair in pairs:
        if pair.reference is None:
            inserted += 1
        else:
            rows.append((inserted, int(pair.reference != pair.hypothesis)))
            inserted = 0
    return [*rows, (inserted, 0)]
