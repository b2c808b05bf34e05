"""Hill climbing from a text to one that no edit of a single token makes more probable under CTC.

Where nothing but the acoustic model speaks, the future of a prefix depends on its last token alone. So a beam fills up
with variants of the distant past that all end alike, and loses the best text to them, often by a token or two. What
remains to be changed is found directly, from the forward and backward variables of CTC (Graves et al. 2006, section
4.1), here called masses: that of a prefix before each step, and that of a suffix from each step on, make the exact
probability of a text with one token substituted, inserted or deleted a sum over a few steps.
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
_PROBABLE = 1e-3  # tokens with this probability at a step are tried there before all others
_FEW = 64  # tokens, such as letters: to try them all takes no longer than to find out which are probable
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


class Lattice(NamedTuple):
    """All alignments of a text.

    Attributes:
        text: (tokens,).
        forward: Masses of its prefixes.
        backward: Masses of its suffixes, turned round.
        factors: (steps,) what probabilities are multiplied by, so that they are scaled as `backward` is.
        weights: (steps + 1,) what makes a prefix' mass before a step times a suffix' from there on a share of the
            probability of the text.
    """

    text: Numbers
    forward: Masses
    backward: Masses
    factors: Floats
    weights: Floats


class Shortlist(NamedTuple):
    """Which tokens are to be tried.

    Attributes:
        all: (tokens to try,) those that are probable enough at any step.
        probable: Those that are probable at a step, at one after the other.
        begin: (steps + 1,) where the tokens of each step begin in `probable`.
        rest: (steps,) the probability of the best of the others at each step.
    """

    all: Numbers
    probable: Numbers
    begin: npt.NDArray[np.int64]
    rest: Floats


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
    shortlist = _shortlist(probabilities, blank, floor)
    best, total = text, -math.inf
    while True:
        count = len(text)
        forward = _masses(probabilities, blank, text, least, False)
        backward = _masses(probabilities, blank, text[::-1].copy(), least, True)
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
        gains, stops, put = _best_edits(probabilities, shortlist, _lattice(text, forward, backward, total))
        if not gains.max() > 1.0 + _GAIN:
            return best
        text = _edited(text, gains, stops, put, apart)


@compiled
def _lattice(text: Numbers, forward: Masses, backward: Masses, total: float) -> Lattice:
    """The masses of a text, and what makes shares of the probability of the text, of logarithm `total`, of them."""
    steps = len(forward.scale) - 1
    factors, weights = np.empty(steps), np.empty(steps + 1)
    for step in range(steps):
        factors[step] = math.exp(backward.scale[steps - step - 1] - backward.scale[steps - step])
    for step in range(steps + 1):
        weights[step] = math.exp(min(700.0, forward.scale[step] + backward.scale[steps - step] - total))
    return Lattice(text, forward, backward, factors, weights)


@compiled
def _shortlist(probabilities: Floats, blank: int, floor: float) -> Shortlist:
    """The tokens to try, (steps, tokens); none that is less probable than `floor` at every step."""
    steps, size = probabilities.shape
    bar = max(floor, _PROBABLE)
    wanted, rest = np.zeros(size, np.bool_), np.zeros(steps)
    for step in range(steps):
        for token in range(size):
            wanted[token] |= token != blank and probabilities[step, token] >= floor
    if wanted.sum() <= _FEW:  # all are tried everywhere
        return Shortlist(np.flatnonzero(wanted).astype(np.int32), np.zeros(0, np.int32), np.zeros(0, np.int64), rest)
    for step in range(steps):
        for token in range(size):
            if token != blank and probabilities[step, token] < bar:
                rest[step] = max(rest[step], probabilities[step, token])
    probable = probabilities >= bar
    probable[:, blank] = False
    places, tokens = np.nonzero(probable)
    begin = np.searchsorted(places, np.arange(steps + 1))
    return Shortlist(np.flatnonzero(wanted).astype(np.int32), tokens.astype(np.int32), begin, rest)


@compiled
def _masses(probabilities: Floats, blank: int, text: Numbers, least: float, turned: bool) -> Masses:
    """The forward algorithm, with all that it computes on its way.

    Turned round, the steps by `turned` and the text by the caller, it is the backward algorithm: `ending` is then the
    mass of a suffix from a step on whose first token is said at that step, and `resting` that of those where a blank
    comes first.
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
        row = probabilities[steps - 1 - step if turned else step]
        blanks = row[blank] * share
        if high <= count:
            high += 1
        for place in range(high - 1, low - 1, -1):  # downwards: place - 1 is still that of the step before
            into = 0.0
            if place > 0:
                token = text[place - 1]
                into = ends[place] + rests[place - 1]
                if place == 1 or text[place - 2] != token:
                    into += ends[place - 1]
                into *= row[token] * share
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
def _best_edits(probabilities: Floats, shortlist: Shortlist, lattice: Lattice) -> tuple[Floats, Numbers, Numbers]:
    """The edit at each place that makes a text most probable, where there is one that gains.

    Most tokens are improbable wherever a place can lie. None of them gains more than a token would that is, at every
    step, as probable as the best of them. Only if that is more than what is known to gain must all be tried.

    Returns:
        What the probability of the text is multiplied by where the place is edited, up to where tokens are replaced,
        and the token put there, or NONE: (tokens + 1,) each.
    """
    text = lattice.text
    count, steps, size = len(text), len(probabilities), probabilities.shape[1]
    best = np.zeros(count + 1)
    stops, put = np.zeros(count + 1, np.int32), np.zeros(count + 1, np.int32)
    tokens, seen = np.empty(size, np.int32), np.full(size, NONE, np.int32)
    work = np.empty((3, size))
    rest = shortlist.rest
    for start in range(count + 1):
        for stop in range(start, min(start + 1, count) + 1):
            if stop > start:
                gain = _deletion(lattice, start, stop)
                if gain > best[start]:
                    best[start], stops[start], put[start] = gain, stop, NONE
            low, high = lattice.forward.first[start], steps - lattice.backward.first[count - stop]
            listed = shortlist.all
            if len(listed) > _FEW:
                listed = tokens[: _probable_between(low, high, shortlist, tokens, seen, start + stop)]
            gain, token, bound = _best_insertion(probabilities, listed, rest, lattice, start, stop, work)
            if len(listed) < len(shortlist.all) and bound > max(gain, best[start], 1.0 + _GAIN):
                gain, token, _ = _best_insertion(probabilities, shortlist.all, rest, lattice, start, stop, work)
            if gain > best[start]:
                best[start], stops[start], put[start] = gain, stop, token
    return best, stops, put


@lean
def _probable_between(low: int, high: int, shortlist: Shortlist, tokens: Numbers, seen: Numbers, number: int) -> int:
    """Fill `tokens` with those that are probable at a step from `low` on, before `high`; returns how many.

    Both arrays are (tokens,). `seen` holds the number of the call that last took a token, so that none comes twice.
    """
    count = 0
    if low < high:
        for place in range(shortlist.begin[low], shortlist.begin[high]):
            token = shortlist.probable[place]
            if seen[token] != number:
                tokens[count], seen[token] = token, number
                count += 1
    return count


@lean
def _best_insertion(
    probabilities: Floats, tokens: Numbers, rest: Floats, lattice: Lattice, start: int, stop: int, work: Floats
) -> tuple[float, int, float]:
    """The best of some tokens to be put between a prefix and a suffix: its share, and itself, NONE if none is possible.

    The last is no less than the share of any token whose probabilities are no more than `rest`, (steps,).
    """
    text = lattice.text
    bound = _insertions(probabilities, tokens, rest, lattice, start, stop, work)
    best, put = 0.0, NONE
    for number in range(len(tokens)):
        gain, token = work[0, number], tokens[number]
        if gain <= best or (stop > start and token == text[start]):
            continue
        if (start > 0 and token == text[start - 1]) or (stop < len(text) and token == text[stop]):
            gain = _insertion(probabilities[:, token], token, lattice, start, stop)
        if gain > best:
            best, put = gain, token
    return best, put, bound


@lean
def _deletion(lattice: Lattice, start: int, stop: int) -> float:
    """The share of the prefix up to `start` and the suffix from `stop`, one after the other."""
    text, forward, backward = lattice.text, lattice.forward, lattice.backward
    count, steps = len(text), len(lattice.factors)
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
        gain += mass * backward.ending[backward.offset[steps - step] + turned] * lattice.weights[step]
    return gain


@lean
def _insertions(
    probabilities: Floats, tokens: Numbers, rest: Floats, lattice: Lattice, start: int, stop: int, work: Floats
) -> float:
    """The share of a prefix, a token and a suffix, for each of some tokens; too much where it is one of its neighbours.

    They are left in `work[0]`; that of a token with the probabilities of `rest` is returned. `after` is the mass from a
    step on, where the token was said just before it: it may go on, or rest and the suffix follows.
    """
    forward, backward, steps = lattice.forward, lattice.backward, len(lattice.factors)
    turned, count = len(lattice.text) - stop, len(tokens)
    gains, after, shares, bound = work[0], work[1], work[2], 0.0
    gains[:count] = 0.0
    low, high = forward.first[start], steps - backward.first[turned]
    if high <= low:
        return bound
    place = backward.offset[steps - high] + turned
    after[:count] = last = backward.ending[place] + backward.resting[place]
    for step in range(high - 1, low - 1, -1):
        before, follows = 0.0, 0.0
        if step <= forward.last[start]:
            place = forward.offset[step] + start
            before = (forward.ending[place] + forward.resting[place]) * lattice.weights[step]
        if steps - step <= backward.last[turned]:
            place = backward.offset[steps - step] + turned
            follows = backward.ending[place] + backward.resting[place]
        row, factor = probabilities[step], lattice.factors[step]
        said = rest[step] * factor * last
        bound += before * said
        last = said + follows
        for number in range(count):  # apart from the other loop, which becomes one of vectors
            shares[number] = row[tokens[number]] * factor
        for number in range(count):
            said = shares[number] * after[number]
            gains[number] += before * said
            after[number] = said + follows
    return bound


@lean
def _insertion(row: Any, token: int, lattice: Lattice, start: int, stop: int) -> float:
    """The same for one token, (steps,), that may be alike its neighbours: a blank must then come between."""
    text, forward, backward, steps = lattice.text, lattice.forward, lattice.backward, len(row)
    turned = len(text) - stop
    twice = start > 0 and text[start - 1] == token
    again = stop < len(text) and text[stop] == token
    gain, after = 0.0, 0.0
    for step in range(steps - backward.first[turned], forward.first[start] - 1, -1):
        said = 0.0
        if step < steps:
            said = row[step] * lattice.factors[step] * after
        if step <= forward.last[start]:
            place = forward.offset[step] + start
            before = forward.resting[place]
            if not twice:
                before += forward.ending[place]
            gain += before * lattice.weights[step] * said
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
