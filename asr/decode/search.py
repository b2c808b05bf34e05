"""CTC prefix beam search, compiled (Graves 2012, section 7.5.2; Hannun et al. 2014).

A prefix carries the summed probability of all alignments that read so, in two parts: those that end in a blank and
those that end in its last token, for only after a blank can the same token come again. Scores of a language model or
of hot words are functions of the prefix alone, so they multiply the mass of a prefix as one factor. All is computed
with probabilities, not logarithms: at each step they are divided by the best prefix' of the step before, which leaves
300 orders of magnitude below it. What is worth reporting is scored again, exactly: see `rescore`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from asr.decode.compiled import compiled, lean
from asr.decode.fusion import Fusion, set_context, spelling_factor, word_factor
from asr.decode.prefixes import NONE, Nodes, Numbers, add_child, child_of, new_nodes, with_room
from asr.decode.selection import BUCKETS, edge, smallest

Floats = npt.NDArray[np.float64]

ENTRY = np.dtype(
    [
        ("blank", np.float64),  # mass of the alignments that end in a blank
        ("nonblank", np.float64),  # and of those that end in the prefix' last token
        ("rests", np.float64),  # what both become at the step where the prefix stays as it is
        ("ends", np.float64),
        ("node", np.int32),
        ("parent", np.int32),
        ("last", np.int32),
    ],
    align=True,
)

_GAPS = (701, 301, 132, 57, 23, 10, 4, 1)  # of Shell's sort (Ciura 2001)


class Limits(NamedTuple):
    """What bounds a search.

    Attributes:
        width: Most prefixes that are kept after a step.
        least: A prefix with less than this share of the best one's mass is dropped.
        floor: Tokens less probable than this extend no prefix.
        ceiling: An upper bound of the factors of fusion, except where a word ends.
    """

    width: int
    least: float
    floor: float
    ceiling: float


class Work(NamedTuple):
    """The arrays that a search needs: the beam before and after a step, and the candidates for it.

    Attributes:
        beam: (width,) ENTRY, as is `other`.
        other: See above.
        nodes: (capacity,) NODE, the trie of prefixes.
        mass: (candidates,) what candidates are ranked by.
        slot: (candidates,) the place in the beam that a candidate comes from.
        token: (candidates,) what extends it; NONE where the prefix stays as it is.
        scratch: (candidates,) some of the masses.
        counts: (buckets,) how many masses there are of each size: see `edge`.
        taken: (width, tokens) the last step at which the extension was in the beam on its own account.
        listed: (tokens,) the tokens that may extend a prefix at a step.
        row: (tokens,) the scaled probabilities of a step.
    """

    beam: npt.NDArray[Any]
    other: npt.NDArray[Any]
    nodes: Nodes
    mass: Floats
    slot: Numbers
    token: Numbers
    scratch: Floats
    counts: Numbers
    taken: Numbers
    listed: Numbers
    row: Floats


def new_work(width: int, tokens: int, state: int | None = None) -> Work:
    """Room for a search of a beam over an alphabet, from a state of the language model: see `new_nodes`."""
    candidates = 4 * width + 64
    return Work(
        beam=np.zeros(width, ENTRY),
        other=np.zeros(width, ENTRY),
        nodes=new_nodes(16 * width + 1024, state),
        mass=np.empty(candidates),
        slot=np.empty(candidates, np.int32),
        token=np.empty(candidates, np.int32),
        scratch=np.empty(candidates),
        counts=np.empty(BUCKETS, np.int32),
        taken=np.full((width, tokens), NONE, np.int32),
        listed=np.empty(tokens, np.int32),
        row=np.empty(tokens),
    )


@compiled
def search(
    probabilities: Floats, blank: int, limits: Limits, work: Work, fusion: Fusion | None, lm: Any, hot: Any
) -> tuple[Nodes, int, Numbers]:
    """The best prefixes after the last step.

    Args:
        probabilities: (steps, tokens), normalised.
        blank: Number of the blank.
        limits: How wide to search.
        work: From `new_work`, used for one search.
        fusion: What binds prefixes to words; None: nothing.
        lm: `NgramModel.arrays`, or None.
        hot: `HotWords.arrays`, or None.

    Returns:
        The trie, how many of its nodes are in use, and the nodes of the beam, (prefixes,), in no order. The beam is
        empty only where all that is allowed has probability zero.
    """
    beam, other, nodes = work.beam, work.other, work.nodes
    count, size, scale = 1, 1, 1.0
    beam[0]["blank"] = 1.0
    beam[0]["nonblank"] = 0.0
    beam[0]["node"] = 0
    beam[0]["parent"] = NONE
    beam[0]["last"] = NONE
    leaves = np.zeros(1, np.int32)
    first = NONE
    if fusion is not None:
        first = fusion.boundary  # what it makes of a prefix has a bound of its own
    for step in range(len(probabilities)):
        listed = _list_tokens(probabilities[step], scale, blank, limits.floor, first, work)
        candidates, best = _stay(step, beam, size, nodes, blank, work, fusion, hot)
        candidates, best = _extend(step, beam, size, nodes, listed, candidates, best, limits, work, fusion, lm, hot)
        candidates = _keep(work, candidates, limits.width, best * limits.least)
        if not candidates:
            return nodes, count, leaves[:0]
        nodes, count = _room(nodes, count, limits.width, beam, size)
        count = _move(beam, size, other, nodes, count, candidates, work, fusion, lm, hot)
        beam, other, size, scale = other, beam, candidates, 1.0 / best
    leaves = np.empty(size, np.int32)
    for place in range(size):
        leaves[place] = beam[place]["node"]
    return nodes, count, leaves


@lean
def _list_tokens(probabilities: Floats, scale: float, blank: int, floor: float, first: int, work: Work) -> int:
    """Scale a step's probabilities, (tokens,), and list the tokens that may extend prefixes; returns how many.

    The most probable come first, but `first` before all others (Shell's sort: most often there are a few to sort).
    """
    row, listed = work.row, work.listed
    count = 0
    for token in range(len(row)):
        row[token] = probabilities[token] * scale
        if probabilities[token] >= floor and token != blank:
            listed[count] = token
            count += 1
    for gap in _GAPS:
        for start in range(gap, count):
            token, place = listed[start], start
            while place >= gap and listed[place - gap] != first:
                before = listed[place - gap]
                if token != first and row[before] >= row[token]:
                    break
                listed[place] = before
                place -= gap
            listed[place] = token
    return count


@lean
def _stay(
    step: int, beam: npt.NDArray[Any], size: int, nodes: Nodes, blank: int, work: Work, fusion: Fusion | None, hot: Any
) -> tuple[int, float]:
    """Prefixes that stay the same: by a blank, by their last token again, or reached again from their parent prefix.

    Returns:
        How many candidates they are, and the best of their masses.
    """
    row, taken, masses, slots, tokens = work.row, work.taken, work.mass, work.slot, work.token
    candidates, best = 0, 0.0
    for place in range(size):
        last = beam[place]["last"]
        rests = (beam[place]["blank"] + beam[place]["nonblank"]) * row[blank]
        ends = 0.0
        if last != NONE:
            ends = beam[place]["nonblank"]
            parent = nodes[beam[place]["parent"]]["slot"]
            if parent != NONE:
                taken[parent, last] = step
                source = beam[parent]["blank"]
                if beam[parent]["last"] != last:
                    source += beam[parent]["nonblank"]
                if fusion is not None or hot is not None:
                    source *= nodes[beam[place]["node"]]["factor"]
                ends += source
            ends *= row[last]
        beam[place]["rests"], beam[place]["ends"] = rests, ends
        mass = rests + ends
        if mass > 0.0:
            masses[candidates], slots[candidates], tokens[candidates] = mass, place, NONE
            candidates += 1
            best = max(best, mass)
    return candidates, best


@lean
def _extend(
    step: int,
    beam: npt.NDArray[Any],
    size: int,
    nodes: Nodes,
    listed: int,
    candidates: int,
    best: float,
    limits: Limits,
    work: Work,
    fusion: Fusion | None,
    lm: Any,
    hot: Any,
) -> tuple[int, float]:
    """Prefixes made one token longer, as far as they can hold their own among the candidates.

    A full beam sets the bar from the start: only what has more mass than the least of the prefixes that stay can get
    in. That spares most of the work. Spelling a word on is what is asked most, so that is given one array and no more:
    each that a compiled function takes costs time.

    Returns:
        The number of candidates, and the best of their masses.
    """
    row, tokens, taken = work.row, work.listed, work.taken
    mass, slot, token_of = work.mass, work.slot, work.token
    bar = best * limits.least
    if candidates >= limits.width:
        bar = max(bar, smallest(mass, candidates))
    for place in range(size):
        node, last, rests = int(beam[place]["node"]), beam[place]["last"], beam[place]["blank"]
        both = rests + beam[place]["nonblank"]
        for number in range(listed):
            token = tokens[number]
            found = row[token] * both
            bound = found * limits.ceiling
            if fusion is not None and token == fusion.boundary:
                if bound * fusion.lexemes[nodes[node]["lexeme"]]["most"] <= bar:
                    continue
            elif bound <= bar:
                break
            if taken[place, token] == step:
                continue
            if token == last:
                found = row[token] * rests
            if fusion is not None and fusion.boundary != NONE and token != fusion.boundary:
                found *= spelling_factor(fusion.lexemes, int(nodes[node]["lexeme"]), token)
            elif fusion is not None:
                found *= word_factor(nodes, node, token, fusion, lm)
            if hot is not None:
                found *= hot.factor[nodes[node]["hot"], token]
            if found <= bar:
                continue
            if candidates == len(mass):
                candidates = _keep(work, candidates, limits.width, bar)
                if candidates == limits.width:  # fewer: the others fell behind the best, and there is room again
                    bar = max(bar, smallest(mass, candidates))
                if found <= bar:
                    continue
            mass[candidates], slot[candidates], token_of[candidates] = found, place, token
            candidates += 1
            if found > best:
                best = found
                bar = max(bar, best * limits.least)
    return candidates, best


@lean
def _keep(work: Work, count: int, width: int, least: float) -> int:
    """Keep the `width` best of the candidates, in their order, and none with less mass than `least`.

    Returns:
        How many are kept. Of equals at the edge the first are.
    """
    mass, slot, token = work.mass, work.slot, work.token
    if count > width:
        least = max(least, edge(mass, count, width, work.counts, work.scratch))
    kept = 0
    for place in range(count):  # no branch to guess wrong: what is not kept is written over
        mass[kept], slot[kept], token[kept] = mass[place], slot[place], token[place]
        kept += mass[place] >= least
    surplus = kept - width
    if surplus > 0:
        count, kept = kept, 0
        equals = 0
        for place in range(count):
            equals += mass[place] == least
        for place in range(count):
            if mass[place] == least:
                equals -= 1
                if equals < surplus:
                    continue
            mass[kept], slot[kept], token[kept] = mass[place], slot[place], token[place]
            kept += 1
    return kept


@compiled
def _room(nodes: Nodes, count: int, wanted: int, beam: npt.NDArray[Any], size: int) -> tuple[Nodes, int]:
    """Nodes with room for `wanted` more; the beam's are renumbered where that moves them."""
    if count + wanted <= len(nodes):
        return nodes, count
    leaves = np.empty(size, np.int32)
    for place in range(size):
        leaves[place] = beam[place]["node"]
    nodes, count = with_room(nodes, count, wanted, leaves)
    for place in range(size):
        beam[place]["node"] = leaves[place]
        beam[place]["parent"] = nodes[leaves[place]]["parent"]
    return nodes, count


@lean
def _move(
    beam: npt.NDArray[Any],
    size: int,
    other: npt.NDArray[Any],
    nodes: Nodes,
    count: int,
    candidates: int,
    work: Work,
    fusion: Fusion | None,
    lm: Any,
    hot: Any,
) -> int:
    """Make the kept candidates the new beam, in `other`. Returns the number of nodes in use."""
    masses, slots, tokens = work.mass, work.slot, work.token
    for place in range(size):
        nodes[beam[place]["node"]]["slot"] = NONE
    staying = 0
    while staying < candidates and tokens[staying] == NONE:  # they come first
        entry = beam[slots[staying]]
        other[staying]["blank"], other[staying]["nonblank"] = entry["rests"], entry["ends"]
        other[staying]["node"], other[staying]["parent"] = entry["node"], entry["parent"]
        other[staying]["last"] = entry["last"]
        nodes[entry["node"]]["slot"] = staying
        staying += 1
    for place in range(staying, candidates):
        parent, token = beam[slots[place]]["node"], tokens[place]
        node = child_of(nodes, parent, token)
        if node == NONE:
            node = count
            count += 1
            add_child(nodes, node, parent, token)
            set_context(nodes, node, fusion, lm, hot)
        other[place]["blank"], other[place]["nonblank"] = 0.0, masses[place]
        other[place]["node"], other[place]["parent"], other[place]["last"] = node, parent, token
        nodes[node]["slot"] = place
    return count


@compiled
def add_text(
    nodes: Nodes, count: int, tokens: Numbers, fusion: Fusion | None, lm: Any, hot: Any
) -> tuple[Nodes, int, int]:
    """The node of a whole text, (tokens,), made where it is not there: (nodes, how many are in use, the text's)."""
    if count + len(tokens) > len(nodes):
        larger = np.empty(count + len(tokens), nodes.dtype)
        larger[:count] = nodes[:count]
        nodes = larger
    node = 0
    for token in tokens:
        child = child_of(nodes, node, token)
        if child == NONE:
            child = count
            count += 1
            add_child(nodes, child, node, token)
            set_context(nodes, child, fusion, lm, hot)
        node = child
    return nodes, count, node
