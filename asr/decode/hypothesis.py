"""What a decoder gives back, and what it insists on being given."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from asr.errors import AsrError

Floats = npt.NDArray[np.float64]

# Sums of probabilities stray from 1 by the rounding of the softmax: 1e-6 in float32, some 1e-3 in bfloat16.
_TOLERANCE = 0.02


class DecodeError(AsrError, ValueError):
    """Log-probabilities that cannot be decoded; the message says what they look like instead."""


@dataclass(frozen=True)
class TokenSpan:
    """A token and the output steps [start, end) that it stands on.

    Attributes:
        token: Its number.
        start: First step.
        end: The step after the last.
        score: Mean natural log-probability of the token over these steps.
    """

    token: int
    start: int
    end: int
    score: float


@dataclass(frozen=True)
class Hypothesis:
    """One reading of an utterance.

    Attributes:
        text: Words joined by single spaces.
        tokens: Token numbers, without blanks.
        score: What hypotheses are ranked by, acoustic + lm + bonus; natural logarithm, as are its parts.
        acoustic: Of the acoustic model.
        lm: Of the language model, weighted; 0 without one.
        bonus: For words and hot words; 0 without.
        spans: Where each of `tokens` stands; empty where the decoder keeps no account of it.
    """

    text: str
    tokens: tuple[int, ...]
    score: float
    acoustic: float
    lm: float = 0.0
    bonus: float = 0.0
    spans: tuple[TokenSpan, ...] = ()


def check_log_probs(log_probs: Tensor, tokens: int) -> None:
    """Refuse what is not a distribution over `tokens` at every step: raw scores, probabilities, logarithms taken twice.

    A decoder would still make text of these, a little worse than it should be; nobody sees why.

    Args:
        log_probs: (steps, tokens).
        tokens: Size of the decoder's alphabet.

    Raises:
        DecodeError: Of another shape, not normalised, or NaN.
    """
    if log_probs.dim() != 2 or log_probs.shape[1] != tokens:
        raise DecodeError(f"log-probabilities must be (steps, {tokens}), not {tuple(log_probs.shape)}")
    if not log_probs.is_floating_point():
        raise DecodeError(f"log-probabilities must be floating-point numbers, not {log_probs.dtype}")
    if not len(log_probs):
        return
    totals = log_probs.logsumexp(dim=1)
    worst = float(totals.abs().max())  # NaN if any step has one
    if worst <= _TOLERANCE:
        return
    if math.isnan(worst) or math.isinf(worst):
        raise DecodeError("log-probabilities contain NaN or infinity: the model has diverged, or its input was broken")
    sums = log_probs.sum(dim=1)
    if log_probs.min() >= 0 and bool(torch.all((sums - 1).abs() <= _TOLERANCE)):
        raise DecodeError("these are probabilities: take their natural logarithm first")
    step = int(totals.abs().argmax())
    total = math.exp(min(totals[step].item(), 700.0))
    raise DecodeError(f"at step {step} the probabilities sum to {total:.4g}, not 1; raw scores need log_softmax first")


def probabilities_of(log_probs: Tensor, tokens: int) -> tuple[Floats, Floats]:
    """Log-probabilities and probabilities in float64 on the processor, (steps, tokens) each.

    Raises:
        DecodeError: See `check_log_probs`.
    """
    values = log_probs.detach().cpu().to(torch.float64).contiguous().numpy()
    # Not by torch: it wakes a thread for each utterance, which then spins for twice as long as the search takes.
    with np.errstate(over="ignore", invalid="ignore"):  # then the sums are not 1
        probabilities = np.exp(values)
        # These are needed anyway; `check_log_probs` for all would take a sixth of the time of an easy search.
        normal = values.shape[1:] == (tokens,) and (np.abs(probabilities.sum(axis=1) - 1) <= _TOLERANCE / 2).all()
    if not normal:
        check_log_probs(log_probs, tokens)
    return values, probabilities
