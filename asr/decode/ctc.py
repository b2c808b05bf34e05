"""The exact probability of a text under CTC: the forward algorithm (Graves et al. 2006, section 4.1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from asr.decode.compiled import compiled
from asr.decode.hypothesis import DecodeError


def forward_score(log_probs: Tensor | npt.NDArray[Any], tokens: Sequence[int], blank: int = 0) -> float:
    """Natural log-probability of a token sequence: the sum over all its alignments.

    Args:
        log_probs: (steps, tokens) natural logarithms; computed in float64 whatever their type.
        tokens: Token numbers without blanks; may be none.
        blank: Number of the blank.

    Returns:
        At most 0 for normalised log-probabilities; -inf where the steps are too few or every alignment is impossible.

    Raises:
        DecodeError: A token that is the blank or is not in the alphabet.
    """
    values = as_float64(log_probs)
    return float(forward(values, as_labels(tokens, values.shape[1], blank), blank))


def as_float64(log_probs: Tensor | npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Log-probabilities as the contiguous float64 array that compiled functions take."""
    if isinstance(log_probs, Tensor):
        log_probs = log_probs.detach().double().cpu().numpy()
    return np.ascontiguousarray(log_probs, dtype=np.float64)


def as_labels(tokens: Sequence[int], size: int, blank: int) -> npt.NDArray[np.int64]:
    """Token numbers as an array.

    Raises:
        DecodeError: One is the blank, or not in the alphabet of `size` tokens.
    """
    labels = np.asarray(tokens, dtype=np.int64).reshape(-1)
    wrong = labels[(labels < 0) | (labels >= size) | (labels == blank)]
    if len(wrong):
        raise DecodeError(f"a text's tokens are 0 to {size - 1} without the blank {blank}, not {int(wrong[0])}")
    return labels


@compiled
def log_add(left: float, right: float) -> float:
    """ln(exp(left) + exp(right)); -inf is the logarithm of zero."""
    if left < right:
        left, right = right, left
    if right == -math.inf:
        return left
    return left + math.log1p(math.exp(right - left))


@compiled
def forward(log_probs: npt.NDArray[np.float64], labels: npt.NDArray[np.integer[Any]], blank: int) -> float:
    """Natural logarithm of the sum over alignments: (steps, tokens) and (labels,).

    `ending[i]` and `resting[i]` are the mass of the alignments of the first i labels that end in the last of these, and
    in a blank after it. Only those i are visited from which the last label can still be reached.
    """
    steps, count = len(log_probs), len(labels)
    ending = np.full(count + 1, -math.inf)
    resting = np.full(count + 1, -math.inf)
    resting[0] = 0.0
    for step in range(steps):
        first = max(0, count - (steps - step - 1))
        for i in range(min(step + 1, count), first - 1, -1):  # downwards: i - 1 is still that of the step before
            both = log_add(ending[i], resting[i])
            if i > 0:
                label = labels[i - 1]
                into = resting[i - 1]
                if i == 1 or labels[i - 2] != label:
                    into = log_add(into, ending[i - 1])
                ending[i] = log_probs[step, label] + log_add(ending[i], into)
            resting[i] = log_probs[step, blank] + both
    return log_add(ending[count], resting[count])
