"""Two recognisers on the same utterances: is one better, or was it luck?

Both heard the same sentences, so what counts is by how much they differ on each; what is hard for both falls out. Two
tests, each with a p-value: how often two equally good recognisers would differ as much as these.

- Over utterances: the difference of the error rates, its interval and p-value by a bootstrap of whole utterances
  (Bisani & Ney 2004), studentised and symmetric (Efron & Tibshirani 1993, ch. 12; Hall 1992, section 3.6). Where few
  utterances differ, exactly, by exchanging the two recognisers' results on each in every possible way.
- Over segments: MAPSSWE, the matched pairs of NIST's sclite (Gillick & Cox 1989). Segments are what lies between words
  that both recognised, and are taken to err independently of each other, even within one utterance: more of them than
  utterances, so it sees smaller differences, and believes a little too readily in them.

`tests/score/test_compare.py` measures how often each is alarmed where there is nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import NormalDist
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
        p: Probability that two equally good recognisers differ at least as much, in either direction.
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
        p: Two-sided, from the normal distribution.
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
        first: (units,) errors of one recogniser in each utterance (or speaker).
        second: (units,) errors of the other.
        words: (units,) words in the reference; may be 0.
        seed: Of the resampling; equal seeds give equal results.
        units: What the units are, for the description of the method.

    Returns:
        The difference; NaN everywhere where there is no word.
    """
    weights = np.asarray(words, dtype=np.float64)
    changes = np.asarray(second, dtype=np.float64) - np.asarray(first, dtype=np.float64)
    if weights.sum() == 0:
        return Difference(math.nan, math.nan, math.nan, math.nan, "no reference words")
    value = float(changes.sum() / weights.sum())
    differing = changes[changes != 0]
    if len(differing) >= MIN_UNITS and (found := studentised(changes, weights, seed)):
        sizes = np.abs(found.t)
        reach = float(np.quantile(sizes, LEVEL)) * found.spread
        # The data themselves are one of the ways to draw, so p is never 0.
        p = (1 + np.count_nonzero(sizes * found.spread >= abs(value))) / (1 + len(sizes))
        return Difference(value, value - reach, value + reach, float(p), bootstrap_method(len(changes), units))
    verb = "differs" if len(differing) == 1 else "differ"
    method = f"exact: {counted(len(differing), units.removesuffix('s'))} {verb}"
    return Difference(value, *_few(changes, weights), _exchanged(differing), method)


def _few(changes: Array, words: Array) -> tuple[float, float]:
    """An interval from few differing units: of what each recogniser did worse, squared and added (Newcombe 1998)."""
    worse, better = np.maximum(changes, 0), np.maximum(-changes, 0)
    total = float(words.sum())
    up, down = float(worse.sum()) / total, float(better.sum()) / total
    above, below = wilson(worse, words), wilson(better, words)
    low = up - down - math.hypot(up - above.low, below.high - down)
    return low, up - down + math.hypot(above.high - up, down - below.low)


def _exchanged(differing: Array) -> float:
    """The share of all ways to exchange the two results of each unit that differ in sum as much as was seen."""
    if (differing > 0).all() or (differing < 0).all():  # nothing but all of them, or none, exchanged
        return float(min(1.0, 2.0 ** (1 - len(differing))))
    sums = np.zeros(1)
    for change in differing:
        sums = np.concatenate([sums + change, sums - change])
    return float(np.mean(np.abs(sums) >= abs(differing.sum())))


def matched_pairs(first: Iterable[Sequence[Pair]], second: Iterable[Sequence[Pair]]) -> MatchedPairs:
    """MAPSSWE over the word alignments of two recognisers with the same references, in the same order.

    Below 8 segments, or where all are alike, p is that of an exact exchange of each segment's results instead of the
    normal law's.

    Raises:
        ValueError: The references are not the same.
    """
    changes = np.array(
        [b - a for pairs in zip(first, second, strict=True) for a, b in segments(*pairs)], dtype=np.float64
    )
    count = len(changes)
    if count < 2 or not changes.any():
        return MatchedPairs(count, float(changes.mean()) if count else 0.0, 0.0, 1.0)
    mean, spread = float(changes.mean()), float(changes.std(ddof=1)) / math.sqrt(count)
    z = mean / spread if spread else math.copysign(math.inf, mean)
    # A handful of segments follows no normal law: two that are alike would be beyond all doubt by it.
    few = count < MIN_UNITS or not spread
    return MatchedPairs(count, mean, z, _exchanged(changes) if few else 2 * NormalDist().cdf(-abs(z)))


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
