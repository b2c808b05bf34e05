"""How sure a word is: from where it was heard, and from what else could have been said there.

A logistic regression, fitted on a validation set (`asr tune`), turns four pieces of evidence into a probability:

- aligned: the posterior of the word's characters where they stand, as a logit;
- agreed: the share of the n-best hypotheses, weighted by probability, that have the word in this place, as a logit;
- expected: how likely the language model finds the word after those before it, as a natural logarithm;
- length: its characters. A long word that is in the vocabulary and fits what was heard is hardly there by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Levenshtein

from asr.decode.hypothesis import Hypothesis
from asr.decode.profile import Calibration

if TYPE_CHECKING:
    from asr.decode.ngram import NgramModel

Floats = npt.NDArray[np.float64]
EVIDENCE = ("aligned", "agreed", "expected", "length")  # the columns, named as in `Calibration`
_SURE = 1e-4  # no evidence is surer than one in ten thousand: a logit stays finite
_RIDGE = 1e-3  # a little pull to zero, so that evidence that separates perfectly has weights too
_ROUNDS = 50
_LONG = 12  # characters: a longer word is no surer for it


def evidence(posteriors: Sequence[float], nbest: Sequence[Hypothesis], lm: NgramModel | None = None) -> Floats:
    """What speaks for each word of the best hypothesis.

    Args:
        posteriors: (words,) geometric means of the posteriors of each word's characters where they were heard.
        nbest: Best first; `posteriors` belong to the words of the first.
        lm: The language model of the search. Without one, or with one of characters, no word is expected more than
            another: 0.

    Returns:
        (words, 4) in the order of `EVIDENCE`.
    """
    words = nbest[0].text.split()
    expected = lm.scores(words)[:-1] if lm is not None and not lm.characters else np.zeros(len(words))
    aligned = _logit(np.asarray(posteriors, np.float64))
    length = np.array([min(len(word), _LONG) for word in words], np.float64)
    return np.stack([aligned, _logit(_agreed(words, nbest)), expected, length], axis=1)


def _agreed(words: Sequence[str], nbest: Sequence[Hypothesis]) -> Floats:
    """(words,) shares of the hypotheses, weighted by their probabilities, that have each word in its place."""
    scores = np.array([hypothesis.score for hypothesis in nbest])
    weights = np.exp(scores - scores.max())
    weights /= weights.sum()
    agreed = np.zeros(len(words))
    for hypothesis, weight in zip(nbest, weights, strict=True):
        for block in Levenshtein.opcodes(words, hypothesis.text.split()):
            if block.tag == "equal":
                agreed[block.src_start : block.src_end] += weight
    return agreed


def confidences(found: Floats, calibration: Calibration) -> Floats:
    """Probabilities that words are correct: (words, 4) evidence -> (words,)."""
    weights = np.array([getattr(calibration, name) for name in EVIDENCE])
    return _sigmoid(found @ weights + calibration.offset)


def fit(found: Floats, correct: npt.NDArray[np.bool_]) -> Calibration | None:
    """The calibration under which the truth is most probable: logistic regression by Newton's method.

    Args:
        found: (words, 4) evidence.
        correct: (words,) whether each word is.

    Returns:
        None where all words are correct or none is: nothing can be learned from them.
    """
    if correct.all() or not correct.any():
        return None
    inputs = np.column_stack([found, np.ones(len(found))])
    pull = _RIDGE * len(found) * np.append(np.ones(len(EVIDENCE)), 0.0)
    weights = np.zeros(len(EVIDENCE) + 1)
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
    return Calibration(*weights.tolist())


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
