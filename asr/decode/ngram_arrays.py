"""The trie of an n-gram model in flat arrays, and how compiled loops ask it.

A node of the trie is an n-gram; node 0 is the empty one, nodes 1, 2, ... are the words, then come the pairs, and so on
by order. The children of a node are its continuations by one word: neighbours, sorted by that word, found by binary
search. Where a history has no continuation by a word, its suffix (the node of the history without its first word) is
asked, at the cost of its back-off weight. Arrays, not hash tables: they load by memory map and are half the size.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from asr.decode.compiled import compiled, lean
from asr.decode.ngram_table import Ids, Logs

ROOT = 0  # the node of the empty history


class NgramArrays(NamedTuple):
    """The trie. `inner` nodes are the root and all n-grams below the highest order: those that can be histories.

    Attributes:
        first: (inner + 1,) first child of each node; its last child stands before the next node's first.
        word: (nodes,) last word of each n-gram; -1 for the root.
        log_prob: (nodes,) natural logarithm of the probability of that word after the others.
        backoff: (inner,) natural logarithm of the back-off weight.
        suffix: (inner,) the longest n-gram of the model that this one ends with, itself excepted.
        state: (nodes,) the state after this n-gram: the longest suffix that tells something about what comes.
    """

    first: Ids
    word: Ids
    log_prob: Logs
    backoff: Logs
    suffix: Ids
    state: Ids


@lean
def advance(arrays: NgramArrays, state: int, word: int) -> tuple[float, int]:
    """One word on: its log-probability after the history that a state stands for, and the state after it.

    To be called from compiled functions; indices are not checked.

    Args:
        arrays: `NgramModel.arrays`.
        state: `NgramModel.start`, or what an earlier call gave.
        word: Number of the word, 0 to len(words) - 1.

    Returns:
        Natural logarithm of p(word | history), and the next state.
    """
    total = 0.0
    while state != ROOT:
        low = arrays.first[state]
        end = arrays.first[state + 1]
        high = end
        while low < high:
            middle = (low + high) >> 1
            if arrays.word[middle] < word:
                low = middle + 1
            else:
                high = middle
        if low < end and arrays.word[low] == word:
            return float(total + arrays.log_prob[low]), int(arrays.state[low])
        total += arrays.backoff[state]
        state = int(arrays.suffix[state])
    return float(total + arrays.log_prob[word + 1]), int(arrays.state[word + 1])


@compiled
def score_words(arrays: NgramArrays, start: int, end: int, words: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """(words,) natural log-probability of each word of a text; after each `end` a new sentence begins in `start`."""
    scores = np.empty(len(words))
    state = start
    for place in range(len(words)):
        word = words[place]
        scores[place], state = advance(arrays, state, word)
        if word == end:
            state = start
    return scores


def identify(arrays: NgramArrays, words: Sequence[str]) -> str:
    """Hash of a model's content."""
    digest = hashlib.sha256("\n".join(words).encode())
    for array in arrays:
        digest.update(array.data)  # no copy: they are contiguous
    return digest.hexdigest()[:16]
