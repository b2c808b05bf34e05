"""The most probable text without a search, where one text has more than half of all probability.

The probabilities of all texts add up to 1. So a text that has more than half of it is the most probable one, and a
model that is sure of what it hears leaves nothing to look for: the text of its best path, read off step by step, is
what every search would answer, and its exact probability is proof.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from asr.decode.compiled import compiled
from asr.decode.prefixes import Numbers

Floats = npt.NDArray[np.float64]

_HALF = 0.5 + 1e-9  # more than half, whatever was rounded
_NOTHING = 1e-20  # of all probability: what a prefix may lose at a step unseen, as its text has half of it


@compiled
def best_path(log_probs: Floats, blank: int) -> Numbers:
    """The tokens of the single best path, repeats merged and blanks dropped: (steps, tokens) -> (said,)."""
    tokens = np.empty(len(log_probs), np.int32)
    count, before = 0, blank
    for step in range(len(log_probs)):
        best = 0
        for token in range(1, log_probs.shape[1]):
            if log_probs[step, token] > log_probs[step, best]:
                best = token
        if best != before and best != blank:
            tokens[count] = best
            count += 1
        before = best
    return tokens[:count].copy()


@compiled
def majority_score(probabilities: Floats, blank: int, text: Numbers) -> float:
    """Natural log-probability of a text that has more than half of all probability.

    Args:
        probabilities: (steps, tokens), normalised up to the rounding of the model that computed them.
        blank: Number of the blank.
        text: (tokens,).

    Returns:
        Summed over all alignments; NaN where the text has no more than half. That is known as soon as no more than
        half of the alignments so far read as a prefix of the text: others can never come back to it.
    """
    count = len(text)
    ending, resting = np.zeros(count + 1), np.zeros(count + 1)  # shares of all alignments up to a step
    resting[0] = 1.0
    low, high, total = 0, 0, 0.0  # prefixes of low to high tokens have any; `total` is the logarithm of all
    for step in range(len(probabilities)):
        row = probabilities[step]
        everything = row.sum()
        total += math.log(everything)
        high, kept = min(high + 1, count), 0.0
        for place in range(high, low - 1, -1):  # downwards: place - 1 is still that of the step before
            rests, ends = (ending[place] + resting[place]) * row[blank] / everything, 0.0
            if place > 0:
                token = text[place - 1]
                into = ending[place] + resting[place - 1]
                if place == 1 or text[place - 2] != token:
                    into += ending[place - 1]
                ends = into * row[token] / everything
            ending[place], resting[place] = ends, rests
            kept += ends + rests
        if not kept > _HALF:
            return math.nan
        while ending[low] + resting[low] < _NOTHING:
            ending[low] = resting[low] = 0.0
            low += 1
        while ending[high] + resting[high] < _NOTHING:
            ending[high] = resting[high] = 0.0
            high -= 1
    share = ending[count] + resting[count]
    return math.log(share) + total if share > _HALF else math.nan
