"""Prefixes of texts as a trie in one flat array, each prefix once.

A node is a prefix: its parent's, and one token more. Node 0 is the empty prefix; a parent's number is less than its
children's. Children are a linked list: most nodes have one or two.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from asr.decode.compiled import compiled, lean

Nodes = npt.NDArray[Any]  # of NODE, or of PLAIN_NODE
Numbers = npt.NDArray[np.int32]

NONE = -1

_LINKS = [
    ("parent", np.int32),
    ("token", np.int32),  # the last of the prefix
    ("child", np.int32),  # newest child
    ("sibling", np.int32),  # the parent's next older child
    ("slot", np.int32),  # its place in the beam, or NONE
]
_CONTEXT = [
    ("lexeme", np.int32),  # what the prefix is to lexicon, language model and hot words: see `fusion`
    ("hot", np.int32),
    ("words", np.int32),  # how many have ended
    ("state", np.int64),
    ("score", np.float64),  # the language model's, of the words that have ended; -inf: they are not allowed
    ("factor", np.float64),  # what the parent's mass is multiplied by
    ("finish", np.float64),  # the same where a word ends after this prefix; NaN until it is asked for
    ("finish_score", np.float64),
    ("finish_state", np.int64),
]
NODE = np.dtype(_LINKS + _CONTEXT, align=True)
PLAIN_NODE = np.dtype(_LINKS)  # where nothing but the acoustic model speaks: a fifth of the memory to go through


def new_nodes(capacity: int, state: int | None) -> Nodes:
    """Room for nodes, the first of them the empty prefix, with the language model's state before any word.

    Without a state, None, nodes are plain: there are neither words nor hot words.
    """
    nodes = np.zeros(capacity, PLAIN_NODE if state is None else NODE)
    for name in ("parent", "token", "child", "sibling"):
        nodes[0][name] = NONE
    if state is not None:
        nodes[0]["state"], nodes[0]["factor"], nodes[0]["finish"] = state, 1.0, np.nan
    return nodes


@lean
def child_of(nodes: Nodes, node: int, token: int) -> int:
    """The child of a node by a token, or NONE."""
    child = nodes[node]["child"]
    while child != NONE and nodes[child]["token"] != token:
        child = nodes[child]["sibling"]
    return int(child)


@lean
def add_child(nodes: Nodes, new: int, parent: int, token: int) -> None:
    """Make node `new` the child of `parent` by `token`."""
    nodes[new]["parent"] = parent
    nodes[new]["token"] = token
    nodes[new]["child"] = NONE
    nodes[new]["sibling"] = nodes[parent]["child"]
    nodes[new]["slot"] = NONE
    nodes[parent]["child"] = new


@compiled
def tokens_of(nodes: Nodes, node: int) -> Numbers:
    """The tokens of a prefix, (tokens,), in order."""
    count = 0
    place = node
    while place > 0:
        count += 1
        place = nodes[place]["parent"]
    tokens = np.empty(count, np.int32)
    while node > 0:
        count -= 1
        tokens[count] = nodes[node]["token"]
        node = nodes[node]["parent"]
    return tokens


@compiled
def ancestry(nodes: Nodes, count: int, leaves: Numbers) -> Numbers:
    """New numbers, without gaps and in the old order, for the nodes on the way to `leaves`.

    Args:
        nodes: Of which the first `count` are in use.
        count: See above.
        leaves: (leaves,) node numbers.

    Returns:
        (count,) NONE for nodes that no leaf needs.
    """
    numbers = np.full(count, NONE, np.int32)
    numbers[0] = 0
    for leaf in leaves:
        node = leaf
        while numbers[node] == NONE:
            numbers[node] = 0
            node = nodes[node]["parent"]
    new = 0
    for node in range(count):
        if numbers[node] != NONE:
            numbers[node] = new
            new += 1
    return numbers


@compiled
def compact(nodes: Nodes, count: int, leaves: Numbers) -> int:
    """Drop the nodes that no leaf needs, in place; `leaves` get their new numbers. Returns how many nodes remain."""
    numbers = ancestry(nodes, count, leaves)
    kept = 0
    for old in range(count):
        if numbers[old] == NONE:
            continue
        nodes[kept] = nodes[old]
        nodes[kept]["child"] = NONE
        if kept > 0:
            parent = numbers[nodes[kept]["parent"]]
            nodes[kept]["parent"] = parent
            nodes[kept]["sibling"] = nodes[parent]["child"]
            nodes[parent]["child"] = kept
        kept += 1
    for place in range(len(leaves)):
        leaves[place] = numbers[leaves[place]]
    return kept


@compiled
def with_room(nodes: Nodes, count: int, wanted: int, leaves: Numbers) -> tuple[Nodes, int]:
    """Nodes with room for `wanted` more: first what no leaf needs goes, and if that is not half, the array doubles.

    So the memory of a search is bounded by its beam and the length of its text, not by all that it has ever tried, and
    the work of tidying is a constant for each node made.
    """
    if count + wanted <= len(nodes):
        return nodes, count
    count = compact(nodes, count, leaves)
    size = len(nodes)
    while 2 * (count + wanted) > size:
        size *= 2
    if size > len(nodes):
        larger = np.empty(size, nodes.dtype)
        larger[:count] = nodes[:count]
        nodes = larger
    return nodes, count
