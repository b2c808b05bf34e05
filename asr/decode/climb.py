"""Hill climbing from a text to one that no edit of a single token makes more probable under CTC.

Where nothing but the acoustic model speaks, the future of a prefix depends on its last token alone. So a beam fills up
with variants of the distant past that all end alike, and loses the best text to them, often by a token or two. What
remains to be changed is found directly, from the forward and backward variables of CTC (Graves et al. 2006, section
4.1), here called masses: that of a prefix before each step, and that of a suffix from each step on, make the exact
probability of a text with one token substituted, inserted or deleted a sum over a few steps, for all tokens together.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from asr.decode.compiled import compiled, lean
from asr.decode.prefixes import NONE, Numbers

Floats = npt.NDArray[np.float64]

_GAIN = 1e-9  # what an edit must gain, as a share: less is rounding
APART = 32  # tokens between edits that are made at once
_NOTHING = 1e-60  # share of the best mass at a step: what has less is never counted


class Masses(NamedTuple):
    """Masses of all prefixes of a text before each step, up to a factor a step.

    Attributes:
        ending: Of the alignments that end in the prefix' last token; before any step, of the empty prefix. A prefix of
            `place` tokens has its mass before `step` at `offset[step] + place`, from `first[place]` to `last[place]`.
        resting: The same, of those that end in a blank.
        offset: (steps + 1,) see above: only what has mass is kept, so memory grows with the steps alone.
        first: (tokens + 1,) the first step before which a prefix has mass.
        last: (tokens + 1,) and the last; less than `first` where it never has.
        scale: (steps + 1,) natural logarithm of what the masses are to be multiplied by.
    """

    ending: Floats
    resting: Floats
    offset: npt.NDArray[np.int64]
    first: Numbers
    last: Numbers
    scale: Floats


@compiled
def climb(probabilities: Floats, blank: int, floor: float, least: float, text: Numbers, apart: int = APART) -> Numbers:
    """The text that is reached by making the best single edit again and again, until none is left that gains.

    Args:
        probabilities: (steps, tokens), normalised.
        blank: Number of the blank.
        floor: Tokens that are less probable than this at every step are not tried.
        least: Prefixes and suffixes with less than this share of the mass of the text's best one at a step count as
            impossible there.
        text: (tokens,) to start from.
        apart: Tokens between edits that are made at once.

    Returns:
        (tokens,); the same array where nothing was to be gained, or the text is impossible.
    """
    steps = len(probabilities)
    least = max(least, _NOTHING)
    tokens = _tokens_to_try(probabilities, blank, floor)
    backwards = probabilities[::-1].copy()
    rows, weights = np.empty((steps, len(tokens))), np.empty(steps + 1)
    best, total = text, -math.inf
    while True:
        count = len(text)
        forward = _masses(probabilities, blank, text, least)
        backward = _masses(backwards, blank, text[::-1].copy(), least)
        reached = -math.inf
        if forward.last[count] == steps and backward.last[count] == steps:
            end = forward.offset[steps] + count
            mass = forward.ending[end] + forward.resting[end]
            if mass > 0.0:
                reached = math.log(mass) + forward.scale[steps]
        if reached > total:
            best, total = text, reached
        elif apart > max(count, len(best)):  # impossible to begin with, or rounding: it would go round in a circle
            return best
        else:  # edits that are good alone are not together
            text, total, apart = best, -math.inf, max(count, len(best)) + 2
            continue
        _scale(probabilities, tokens, forward.scale, backward.scale, total, rows, weights)
        gains, stops, put = _best_edits(rows, tokens, text, forward, backward, weights)
        if not gains.max() > 1.0 + _GAIN:
            return best
        text = _edited(text, gains, stops, put, apart)


@lean
def _scale(
    probabilities: Floats,
    tokens: Numbers,
    forward: Floats,
    backward: Floats,
    total: float,
    rows: Floats,
    weights: Floats,
) -> None:
    """Fill `rows` and `weights` as `_best_edits` takes them, from the scales of both masses and the text's score."""
    steps = len(probabilities)
    for step in range(steps + 1):
        weights[step] = math.exp(min(700.0, forward[step] + backward[steps - step] - total))
    for step in range(steps):
        factor = math.exp(backward[steps - step - 1] - backward[steps - step])
        for number in range(len(tokens)):
            rows[step, number] = probabilities[step, tokens[number]] * factor


@compiled
def _tokens_to_try(probabilities: Floats, blank: int, floor: float) -> Numbers:
    """The tokens that are probable enough at any step."""
    wanted = np.zeros(probabilities.shape[1], np.bool_)
    for step in range(len(probabilities)):
        for token in range(probabilities.shape[1]):
            wanted[token] |= probabilities[step, token] >= floor
    wanted[blank] = False
    return np.flatnonzero(wanted).astype(np.int32)


@compiled
def _masses(probabilities: Floats, blank: int, text: Numbers, least: float) -> Masses:
    """The forward algorithm, with all that it computes on its way.

    Turned round, steps and text, it is the backward algorithm: `ending` is then the mass of a suffix from a step on
    whose first token is said at that step, and `resting` that of those where a blank comes first.
    """
    steps, count = len(probabilities), len(text)
    ending, resting, offset = np.empty(8 * steps + 16), np.empty(8 * steps + 16), np.zeros(steps + 1, np.int64)
    first, last = np.full(count + 1, steps + 1, np.int32), np.full(count + 1, NONE, np.int32)
    scale = np.zeros(steps + 1)
    ends, rests = np.zeros(count + 1), np.zeros(count + 1)
    ends[0] = ending[0] = 1.0  # the empty prefix: nothing that differs from it need wait for a blank
    resting[0] = 0.0
    first[0] = last[0] = 0
    low, high, best, used = 0, 1, 1.0, 1
    for step in range(steps):
        scale[step + 1] = scale[step] + math.log(best)
        share, best = 1.0 / best, 0.0
        blanks = probabilities[step, blank] * share
        if high <= count:
            high += 1
        for place in range(high - 1, low - 1, -1):  # downwards: place - 1 is still that of the step before
            into = 0.0
            if place > 0:
                token = text[place - 1]
                into = ends[place] + rests[place - 1]
                if place == 1 or text[place - 2] != token:
                    into += ends[place - 1]
                into *= probabilities[step, token] * share
            rests[place] = (ends[place] + rests[place]) * blanks
            ends[place] = into
            best = max(best, rests[place] + into)
        if best <= 0.0:
            break
        while ends[low] + rests[low] < best * least:
            ends[low] = rests[low] = 0.0
            low += 1
        while last[high - 1] == NONE and ends[high - 1] + rests[high - 1] < best * least:  # so that none has gaps
            ends[high - 1] = rests[high - 1] = 0.0
            high -= 1
        if used + high - low > len(ending):
            ending, resting = _larger(ending, high - low), _larger(resting, high - low)
        offset[step + 1] = used - low
        for place in range(low, high):
            ending[used], resting[used] = ends[place], rests[place]
            used += 1
            first[place] = min(first[place], step + 1)
            last[place] = step + 1
    return Masses(ending, resting, offset, first, last, scale)


@compiled
def _larger(values: Floats, wanted: int) -> Floats:
    """The same values, with room for at least `wanted` more."""
    larger = np.empty(2 * len(values) + wanted)
    larger[: len(values)] = values
    return larger


@compiled
def _best_edits(
    rows: Floats, tokens: Numbers, text: Numbers, forward: Masses, backward: Masses, weights: Floats
) -> tuple[Floats, Numbers, Numbers]:
    """The edit at each place that makes a text most probable.

    Args:
        rows: (steps, tokens to try) probabilities, scaled as `backward` is.
        tokens: (tokens to try,) their numbers.
        text: (tokens,).
        forward: Masses of its prefixes.
        backward: Masses of its suffixes, turned round.
        weights: (steps + 1,) what makes a prefix' mass before a step times a suffix' from there on a share of the
            probability of the text.

    Returns:
        What the probability of the text is multiplied by where the place is edited, up to where tokens are replaced,
        and the token put there, or NONE: (tokens + 1,) each.
    """
    count = len(text)
    best = np.zeros(count + 1)
    stops, put = np.zeros(count + 1, np.int32), np.zeros(count + 1, np.int32)
    gains, after = np.empty(len(tokens)), np.empty(len(tokens))
    for start in range(count + 1):
        for stop in range(start, min(start + 1, count) + 1):
            if stop > start:
                gain = _deletion(text, start, stop, forward, backward, weights)
                if gain > best[start]:
                    best[start], stops[start], put[start] = gain, stop, NONE
            _insertions(rows, start, stop, forward, backward, weights, gains, after)
            for number in range(len(tokens)):
                gain, token = gains[number], tokens[number]
                if gain <= best[start] or (stop > start and token == text[start]):
                    continue
                if (start > 0 and token == text[start - 1]) or (stop < count and token == text[stop]):
                    gain = _insertion_by_equal(rows[:, number], token, text, start, stop, forward, backward, weights)
                if gain > best[start]:
                    best[start], stops[start], put[start] = gain, stop, token
    return best, stops, put


@lean
def _deletion(text: Numbers, start: int, stop: int, forward: Masses, backward: Masses, weights: Floats) -> float:
    """The share of the prefix up to `start` and the suffix from `stop`, one after the other."""
    count, steps = len(text), len(weights) - 1
    turned = count - stop
    alike = start > 0 and stop < count and text[start - 1] == text[stop]
    gain = 0.0
    low = max(forward.first[start], steps - backward.last[turned])
    high = min(forward.last[start], steps - backward.first[turned])
    for step in range(low, high + 1):
        place = forward.offset[step] + start
        mass = forward.resting[place]
        if not alike:
            mass += forward.ending[place]
        gain += mass * backward.ending[backward.offset[steps - step] + turned] * weights[step]
    return gain


@lean
def _insertions(
    rows: Floats,
    start: int,
    stop: int,
    forward: Masses,
    backward: Masses,
    weights: Floats,
    gains: Floats,
    after: Floats,
) -> None:
    """The share of a prefix, a token and a suffix, for each token; too much where the token is one of its neighbours.

    `after` is the mass from a step on, where the token was said just before it: it may go on, or rest and the suffix
    follows. Both arrays are (tokens to try,).
    """
    steps = len(weights) - 1
    turned = len(forward.first) - 1 - stop
    gains[:] = 0.0
    low, high = forward.first[start], steps - backward.first[turned]
    if forward.last[start] < low or backward.last[turned] < 0 or high <= low:
        return
    place = backward.offset[steps - high] + turned
    after[:] = backward.ending[place] + backward.resting[place]
    for step in range(high - 1, low - 1, -1):
        before = 0.0
        if step <= forward.last[start]:
            place = forward.offset[step] + start
            before = (forward.ending[place] + forward.resting[place]) * weights[step]
        follows = 0.0
        if steps - step <= backward.last[turned]:
            place = backward.offset[steps - step] + turned
            follows = backward.ending[place] + backward.resting[place]
        for number in range(len(gains)):
            said = rows[step, number] * after[number]
            gains[number] += before * said
            after[number] = said + follows


@lean
def _insertion_by_equal(
    row: Any,
    token: int,
    text: Numbers,
    start: int,
    stop: int,
    forward: Masses,
    backward: Masses,
    weights: Floats,
) -> float:
    """The same for one token, (steps,), that may be alike its neighbours: a blank must then come between."""
    count, steps = len(text), len(weights) - 1
    turned = count - stop
    twice = start > 0 and text[start - 1] == token
    again = stop < count and text[stop] == token
    gain, after = 0.0, 0.0
    for step in range(steps - backward.first[turned], forward.first[start] - 1, -1):
        said = 0.0
        if step < steps:
            said = row[step] * after
        if step <= forward.last[start]:
            place = forward.offset[step] + start
            before = forward.resting[place]
            if not twice:
                before += forward.ending[place]
            gain += before * weights[step] * said
        after = said
        if steps - step <= backward.last[turned]:
            place = backward.offset[steps - step] + turned
            after += backward.resting[place]
            if not again:
                after += backward.ending[place]
    return gain


@compiled
def _edited(text: Numbers, gains: Floats, stops: Numbers, put: Numbers, apart: int) -> Numbers:
    """A text with all those edits made that gain, and more than any other less than `apart` tokens away."""
    edited = np.empty(2 * len(text) + 1, np.int32)
    size = place = 0
    for start in range(len(text) + 1):
        low, high = max(0, start - apart + 1), start + apart
        if gains[start] > 1.0 + _GAIN and low + gains[low:high].argmax() == start:
            if put[start] != NONE:
                edited[size] = put[start]
                size += 1
            place = stops[start]
        if place == start < len(text):
            edited[size] = text[start]
            size += 1
        place = max(place, start + 1)
    return edited[:size].copy()
