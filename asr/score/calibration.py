"""How far confidences can be trusted: calibration, ranking, and what they are worth over a constant."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from asr.errors import ScoreError

Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]
_EPSILON = 1e-7  # a confidence of exactly 0 or 1 that errs would cost infinitely much


class Bin(NamedTuple):
    """Words of like confidence: how many, their mean confidence, and the share of them that is correct."""

    words: int
    confidence: float
    correct: float


class Reliability(NamedTuple):
    """Confidences against the truth.

    Attributes:
        words: How many were judged.
        correct: Share that is correct.
        ece: Expected calibration error (Naeini et al. 2015), over bins of equal mass; 0 is perfect.
        auroc: Probability that a correct word has more confidence than a wrong one, ties halved; None where there are
            not both.
        nce: Normalised cross entropy (Siu & Gish 1999): 1 is perfect, 0 is worth no more than always saying `correct`;
            None where there are not both.
        bins: From low to high confidence.
    """

    words: int
    correct: float
    ece: float
    auroc: float | None
    nce: float | None
    bins: tuple[Bin, ...]


def reliability(confidences: npt.ArrayLike, correct: npt.ArrayLike, bins: int = 15) -> Reliability:
    """Judge the confidences of recognised words.

    Args:
        confidences: (words,) in [0, 1].
        correct: (words,) booleans.
        bins: Of equal mass, for `ece`; no more than there are words.

    Raises:
        ScoreError: No words, sizes that differ, or confidences outside [0, 1].
    """
    said, right = np.asarray(confidences, np.float64), np.asarray(correct, np.bool_)
    if said.ndim != 1 or said.shape != right.shape or not len(said):
        raise ScoreError(f"there must be one confidence per word, not {said.shape} for {right.shape}")
    if not (np.isfinite(said).all() and said.min() >= 0 and said.max() <= 1):
        raise ScoreError("confidences must be between 0 and 1")
    order = np.argsort(said, kind="stable")
    parts = [part for part in np.array_split(order, min(bins, len(said))) if len(part)]
    # Words of one confidence may fall into two bins. So that it does not matter which, each gets the share of right
    # ones among all words of its confidence.
    _, place, ties = np.unique(said, return_inverse=True, return_counts=True)
    shared = (np.bincount(place, right) / ties)[place]
    rows = tuple(Bin(len(part), float(said[part].mean()), float(shared[part].mean())) for part in parts)
    ece = sum(row.words * abs(row.confidence - row.correct) for row in rows) / len(said)
    both = right.any() and not right.all()
    return Reliability(
        words=len(said),
        correct=float(right.mean()),
        ece=ece,
        auroc=_auroc(said, right) if both else None,
        nce=_nce(said, right) if both else None,
        bins=rows,
    )


def _auroc(said: Floats, right: Booleans) -> float:
    """Mann and Whitney's U over the number of pairs."""
    positive, negative = int(right.sum()), int((~right).sum())
    _, place, ties = np.unique(said, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(ties) - (ties - 1) / 2)[place]  # from 1; equal ones share the mean of theirs
    return float((ranks[right].sum() - positive * (positive + 1) / 2) / (positive * negative))


def _nce(said: Floats, right: Booleans) -> float:
    clipped = np.clip(said, _EPSILON, 1 - _EPSILON)
    entropy = -np.log2(np.where(right, clipped, 1 - clipped)).sum()
    share = right.mean()
    constant = -np.log2(np.where(right, share, 1 - share)).sum()
    return float((constant - entropy) / constant)
