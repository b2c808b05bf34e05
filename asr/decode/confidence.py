"""How sure a word is: from where it was heard, and from what else could have been said there.

Two pieces of evidence, each a logit: the posterior of the word's characters where they stand, and the share of the
n-best hypotheses, weighted by their probability, that have the word in this place. A logistic regression, fitted on a
validation set (`asr tune`), turns them into a probability.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Levenshtein

from asr.decode.hypothesis import Hypothesis
from asr.decode.profile import Calibration

Floats = npt.NDArray[np.float64]
_SURE = 1e-4  # no evidence is surer than one in ten thousand: a logit stays finite
_RIDGE = 1e-3  # a little pull to zero, so that evidence that separates perfectly has weights too
_ROUNDS = 50


def evidence(posteriors: Sequence[float], nbest: Sequence[Hypothesis]) -> Floats:
    """What speaks for each word of the best hypothesis.

    Args:
        posteriors: (words,) geometric means of the posteriors of each word's characters where they were heard.
        nbest: Best first; `posteriors` belong to the words of the first.

    Returns:
        (words, 2) logits: of the posteriors, and of the share of hypotheses that agree.
    """
    words = nbest[0].text.split()
    scores = np.array([hypothesis.score for hypothesis in nbest])
    weights = np.exp(scores - scores.max())
    weights /= weights.sum()
    agreed = np.zeros(len(words))
    for hypothesis, weight in zip(nbest, weights, strict=True):
        for block in Levenshtein.opcodes(words, hypothesis.text.split()):
            if block.tag == "equal":
                agreed[block.src_start : block.src_end] += weight
    return np.stack([_logit(np.asarray(posteriors, np.float64)), _logit(agreed)], axis=1)


def confidences(found: Floats, calibration: Calibration) -> Floats:
    """Probabilities that words are correct: (words, 2) evidence -> (words,)."""
    weights = np.array([calibration.aligned, calibration.agreed])
    return _sigmoid(found @ weights + calibration.offset)


def fit(found: Floats, correct: npt.NDArray[np.bool_]) -> Calibration | None:
    """The calibration under which the truth is most probable: logistic regression by Newton's method.

    Args:
        found: (words, 2) evidence.
        correct: (words,) whether each word is.

    Returns:
        None where all words are correct or none is: nothing can be learned from them.
    """
    if correct.all() or not correct.any():
        return None
    inputs = np.column_stack([found, np.ones(len(found))])
    pull = _RIDGE * len(found) * np.array([1.0, 1.0, 0.0])
    weights = np.zeros(3)
    for _ in range(_ROUNDS):
        predicted = _sigmoid(inputs @ weights)
        gradient = inputs.T @ (predicted - correct) + pull * weights
        curvature = (inputs * (predicted * (1 - predicted))[:, None]).T @ inputs + np.diag(pull + 1e-9)
        step = np.linalg.solve(curvature, gradient)
        before = _cost(inputs, correct, weights, pull)
        while _cost(inputs, correct, weights - step, pull) > before and np.abs(step).max() > 1e-9:
            step = step / 2  # Newton's step can be too long where the curve is flat
        weights = weights - step
        if np.abs(step).max() < 1e-9:
            break
    aligned, agreed, offset = weights.tolist()
    return Calibration(aligned, agreed, offset)


def _cost(inputs: Floats, correct: npt.NDArray[np.bool_], weights: Floats, pull: Floats) -> float:
    """What `fit` minimises: minus the log-likelihood, and half the pull."""
    scores = inputs @ weights
    return float(np.logaddexp(0.0, np.where(correct, -scores, scores)).sum() + (pull * weights**2).sum() / 2)


def _logit(share: Floats) -> Floats:
    clipped = np.clip(share, _SURE, 1 - _SURE)
    logits: Floats = np.log(clipped / (1 - clipped))
    return logits


def _sigmoid(values: Floats) -> Floats:
    probabilities: Floats = (1 + np.tanh(values / 2)) / 2  # the logistic function, without overflow
    return probabilities
