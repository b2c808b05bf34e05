"""The exact CTC probabilities of all texts that a search has left, computed together.

The texts of a beam share most of their beginnings. In the trie of their prefixes the forward algorithm visits each
shared prefix once, and each at those steps only at which it has any mass to speak of.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from asr.decode.compiled import compiled
from asr.decode.ctc import forward
from asr.decode.prefixes import NONE, Nodes, Numbers, ancestry, tokens_of

Floats = npt.NDArray[np.float64]

# Shares of the best prefix' mass at a step: what has less is taken for nothing; texts that end with less are computed
# once more by themselves, with logarithms. In between what was left out cannot be seen in 64 bits.
_NOTHING = 1e-120
_LITTLE = 1e-60


@compiled
def exact_scores(
    log_probs: Floats, probabilities: Floats, blank: int, nodes: Nodes, count: int, leaves: Numbers
) -> Floats:
    """Natural log-probability of each of the texts that `leaves` stand for, summed over all its alignments.

    Args:
        log_probs: (steps, tokens).
        probabilities: (steps, tokens) their exponentials.
        blank: Number of the blank.
        nodes: The trie of prefixes.
        count: How many of its nodes are in use.
        leaves: (texts,) node numbers.

    Returns:
        (texts,); -inf where no alignment is possible.
    """
    parent, token, depth, places = _by_depth(nodes, count, leaves)
    ending, resting, log_scale = _forward_trie(probabilities, blank, parent, token, depth)
    scores = np.empty(len(leaves))
    for number in range(len(leaves)):
        mass = ending[places[number]] + resting[places[number]]
        if mass > _LITTLE:
            scores[number] = math.log(mass) + log_scale
        else:
            scores[number] = forward(log_probs, tokens_of(nodes, leaves[number]), blank)
    return scores


@compiled
def _by_depth(nodes: Nodes, count: int, leaves: Numbers) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    """The part of the trie that leads to leaves, in the order of depth.

    Returns:
        Parent, last token and depth of each node, (kept,) each, and where the leaves are among them, (leaves,).
    """
    wanted = ancestry(nodes, count, leaves)
    depths = np.full(count, NONE, np.int32)
    deepest = 0
    for node in range(count):
        if wanted[node] != NONE:
            depths[node] = 0 if node == 0 else depths[nodes[node]["parent"]] + 1
            deepest = max(deepest, depths[node])
    places = np.zeros(deepest + 2, np.int32)  # of the next node of each depth
    for node in range(count):
        places[depths[node] + 1] += wanted[node] != NONE
    places = np.cumsum(places).astype(np.int32)
    kept = places[deepest + 1]
    parent, token, depth = np.full(kept, NONE, np.int32), np.full(kept, NONE, np.int32), np.zeros(kept, np.int32)
    for node in range(count):
        if wanted[node] == NONE:
            continue
        place = places[depths[node]]
        places[depths[node]] += 1
        wanted[node] = place
        depth[place] = depths[node]
        if node > 0:
            parent[place], token[place] = wanted[nodes[node]["parent"]], nodes[node]["token"]
    found = np.empty(len(leaves), np.int32)
    for number in range(len(leaves)):
        found[number] = wanted[leaves[number]]
    return parent, token, depth, found


@compiled
def _forward_trie(
    probabilities: Floats, blank: int, parent: Numbers, token: Numbers, depth: Numbers
) -> tuple[Floats, Floats, float]:
    """The forward algorithm for all nodes of a trie that is ordered by depth.

    Returns:
        The masses after the last step of the alignments that end in a prefix' last token and in a blank after it,
        (nodes,) each, and the natural logarithm of what both are to be multiplied by.
    """
    count = len(parent)
    ending, resting = np.zeros(count), np.zeros(count)
    resting[0] = 1.0
    low, high = 0, 1  # only nodes in [low, high) have mass
    best, log_scale = 1.0, 0.0
    for step in range(len(probabilities)):
        row = probabilities[step] / best
        log_scale += math.log(best)
        best = 0.0
        reach = depth[high - 1] + 1
        while high < count and depth[high] <= reach:
            high += 1
        for node in range(high - 1, low - 1, -1):  # downwards: a parent is still that of the step before
            rests = (ending[node] + resting[node]) * row[blank]
            ends = 0.0
            if node > 0:
                into = resting[parent[node]]
                if token[parent[node]] != token[node]:
                    into += ending[parent[node]]
                ends = (ending[node] + into) * row[token[node]]
            mass = ends + rests
            if mass < _NOTHING:
                ends, rests = 0.0, 0.0
            ending[node], resting[node] = ends, rests
            best = max(best, mass)
        if best < _NOTHING:
            return ending, resting, -math.inf
        while ending[low] + resting[low] == 0.0:  # its parent lies before `low` and has none to give, ever again
            low += 1
        while ending[high - 1] + resting[high - 1] == 0.0:
            high -= 1
    return ending, resting, log_scale
