"""Forced alignment: at which steps a known text is said (Viterbi, over the states of CTC)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from asr.decode.compiled import compiled
from asr.decode.ctc import as_float64, as_labels
from asr.decode.hypothesis import DecodeError, TokenSpan, check_log_probs
from asr.text import steps_needed

Floats = npt.NDArray[np.float64]
LogProbs = Tensor | npt.NDArray[Any]

_STRETCH = 1024  # steps; memory is 2 MB for the moves of one, and 8 bytes for each state and stretch


def align(log_probs: LogProbs, tokens: Sequence[int], blank: int = 0) -> tuple[TokenSpan, ...]:
    """Where each token of a text stands on the most probable of its alignments.

    Args:
        log_probs: (steps, tokens) normalised natural logarithms.
        tokens: The text, without blanks.
        blank: Number of the blank.

    Returns:
        A span a token, in order and without overlap.

    Raises:
        DecodeError: The text does not fit the steps, or no alignment is possible, or bad input.
    """
    values = as_float64(log_probs)
    check_log_probs(torch.from_numpy(values), values.shape[-1])
    labels = as_labels(tokens, values.shape[1], blank)
    if not len(labels):
        return ()
    needed = steps_needed(labels.tolist())
    if needed > len(values):
        raise DecodeError(f"a text of {len(labels)} tokens needs at least {needed} steps, but there are {len(values)}")
    starts, ends, score = _viterbi(values, labels, blank)
    if score == -math.inf:
        raise DecodeError("the text does not fit: all alignments have a step of probability zero")
    return tuple(
        TokenSpan(token, start, end, float(values[start:end, token].mean()))
        for token, start, end in zip(labels.tolist(), starts.tolist(), ends.tolist(), strict=True)
    )


@compiled
def _viterbi(
    log_probs: Floats, labels: npt.NDArray[np.int64], blank: int, stretch: int = _STRETCH
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], float]:
    """The best alignment of (labels,) with (steps, tokens): first step and end of each label, and its score.

    State 2i + 1 is label i, the even ones are the blanks around it. On the way forward the scores of all states are
    kept once in `stretch` steps. On the way back each stretch is gone through again, to see by which moves the best way
    came, but only for those states that it can have come by: two more for each step. Moves of all steps and states
    would be 10^10 for an hour of speech.
    """
    steps, states = len(log_probs), 2 * len(labels) + 1
    best = np.full(states, -math.inf)
    best[0] = log_probs[0, blank]
    best[1] = log_probs[0, labels[0]]
    kept = np.empty(((steps - 1) // stretch + 1, states))
    kept[0] = best
    unused = np.empty(states, np.int8)
    for step in range(1, steps):
        lowest = max(0, states - 2 * (steps - step))  # from those below the end is out of reach
        _advance(best, 0, lowest, min(2 * step + 1, states - 1), log_probs[step], labels, blank, unused)
        if step % stretch == 0:
            kept[step // stretch] = best
    state = states - 1 if best[states - 1] >= best[states - 2] else states - 2
    score = best[state]
    starts, ends = np.zeros(len(labels), np.int64), np.zeros(len(labels), np.int64)
    moves = np.empty((min(stretch, steps) + 1, min(2 * stretch + 1, states)), np.int8)
    end = steps - 1
    for number in range(len(kept) - 1, -1, -1):
        begin = number * stretch
        base = max(0, state - 2 * (end - begin))
        part = kept[number, base : state + 1]
        for step in range(begin + 1, end + 1):
            lowest = max(0, state - 2 * (end - step))
            _advance(part, base, lowest, state, log_probs[step], labels, blank, moves[step - begin])
        for step in range(end, begin if number else -1, -1):
            if state % 2 == 1:
                starts[state // 2] = step
                ends[state // 2] = max(ends[state // 2], step + 1)
            if step > begin:
                state -= moves[step - begin, state - base]
        end = begin
    return starts, ends, float(score)


@compiled
def _advance(
    best: Floats,
    base: int,
    lowest: int,
    highest: int,
    row: Floats,
    labels: npt.NDArray[np.int64],
    blank: int,
    moves: npt.NDArray[np.int8],
) -> None:
    """One step for the states from `lowest` to `highest`: their scores in place, and by how many states each came.

    `best[0]` and `moves[0]` are those of the state `base`. A move is 0, 1, or 2 past a blank.
    """
    for state in range(highest, lowest - 1, -1):  # downwards: what is below is still of the step before
        at = state - base
        score, move = best[at], 0
        if state >= 1 and best[at - 1] > score:
            score, move = best[at - 1], 1
        skips = state >= 3 and state % 2 == 1 and labels[state // 2] != labels[state // 2 - 1]
        if skips and best[at - 2] > score:
            score, move = best[at - 2], 2
        best[at] = score + row[labels[state // 2] if state % 2 == 1 else blank]
        moves[at] = move
