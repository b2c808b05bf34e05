"""Hot words: words and phrases that a user expects, with a boost for each time that one is said as whole words.

All are looked for at once by an automaton over tokens (Aho and Corasick 1975). A pattern is a phrase with the boundary
before and after it, so none is found inside another word. On the way through a phrase a prefix is lent the share of the
boost that it has earned so far, lest it be pruned before the phrase ends; it gives that back where the text goes
another way. The loan is a function of the prefix, and no loan is left in a score that is reported.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from asr.decode.compiled import compiled, lean
from asr.decode.hypothesis import DecodeError
from asr.decode.prefixes import Nodes, tokens_of
from asr.text import describe_characters

Numbers = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]

LARGEST_BOOST = 100.0  # outweighs any audio, and its exponential leaves room for others in a float64


class HotArrays(NamedTuple):
    """The automaton; state 0 is that at the beginning of a text.

    Attributes:
        boundary: The token between words; -1: there is none.
        after: (states, tokens) the next state.
        won: (states, tokens) the boosts of the phrases that end with a token.
        factor: (states, tokens) exp(boosts won + loan of the next state - loan of this one).
    """

    boundary: int
    after: Numbers
    won: Floats
    factor: Floats


@dataclass(frozen=True)
class HotWords:
    """Hot words, ready for a search.

    Attributes:
        boosts: Phrase -> what each time of it adds to a score.
        arrays: The automaton that finds them.
    """

    boosts: Mapping[str, float]
    arrays: HotArrays

    @classmethod
    def build(
        cls,
        boosts: Mapping[str, float],
        tokens: Sequence[str],
        boundary: int,
        spell: Callable[[str], Sequence[int] | None] | None = None,
    ) -> HotWords:
        """The automaton of words and phrases.

        Args:
            boosts: Phrase -> natural logarithm that each time of it adds to a score; less than 0 makes it rarer.
            tokens: Token strings by number.
            boundary: The token between words; -1: each token is a word, and a phrase is found anywhere.
            spell: The tokens of a word, None where there are none for it; None: one for each character.

        Raises:
            DecodeError: A phrase that is empty or holds what is no token, or a boost that is no number from
                -LARGEST_BOOST to LARGEST_BOOST; or phrases that end at once add up to more than twice that.
        """
        trie = _Trie()
        for phrase, boost in boosts.items():
            if not math.isfinite(boost):
                raise DecodeError(f"hot word {phrase!r}: its boost must be a number, not {boost}")
            if abs(boost) > LARGEST_BOOST:
                raise DecodeError(
                    f"hot word {phrase!r}: a boost of {boost:g} is above the limit {LARGEST_BOOST:g}; 2 to 10 is usual"
                )
            trie.add(_spelled(phrase, tokens, boundary, spell), boost, boundary)
        arrays = trie.automaton(len(tokens), boundary)
        if np.abs(arrays.won).max() > 2 * LARGEST_BOOST:
            raise DecodeError(
                f"hot words that end in one another add up to a boost of {np.abs(arrays.won).max():g}; 2 to 10 is usual"
            )
        return cls(dict(boosts), arrays)


def _spelled(
    phrase: str, tokens: Sequence[str], boundary: int, spell: Callable[[str], Sequence[int] | None] | None
) -> list[int]:
    """The tokens of a phrase, one boundary between words and none around them."""
    numbers = {token: number for number, token in enumerate(tokens)}
    strange = {character for character in "".join(phrase.split()) if character not in numbers}
    if strange:
        described = describe_characters(strange)
        raise DecodeError(f"hot word {phrase!r}: not in the model's alphabet: {described}; write it as the model does")
    letters = [[numbers[character] for character in word] for word in phrase.split()]
    words = [
        list((spell(word) if spell else None) or plain) for word, plain in zip(phrase.split(), letters, strict=True)
    ]
    if not words:
        raise DecodeError("empty hot word")
    spelled = words[0]
    for word in words[1:]:
        spelled += word if boundary < 0 else [boundary, *word]
    return spelled


class _Trie:
    """Patterns as a trie; node 0 is its root."""

    def __init__(self) -> None:
        self.children: list[dict[int, int]] = [{}]
        self.token = [-1]
        self.boost = [0.0]
        self.loan = [0.0]

    def add(self, phrase: Sequence[int], boost: float, boundary: int) -> None:
        pattern = list(phrase) if boundary < 0 else [boundary, *phrase, boundary]
        free = 0 if boundary < 0 else 1  # nobody earns anything by beginning a word
        node = 0
        for place, token in enumerate(pattern):
            if token not in self.children[node]:
                self.children[node][token] = len(self.children)
                self.children.append({})
                self.token.append(token)
                self.boost.append(0.0)
                self.loan.append(0.0)
            node = self.children[node][token]
            if place + 1 < len(pattern):
                earned = boost * (place + 1 - free) / (len(pattern) - free)
                self.loan[node] = max(self.loan[node], earned)
        self.boost[node] += boost

    def automaton(self, tokens: int, boundary: int) -> HotArrays:
        """Where each state goes by each token: on in its pattern, or to the longest pattern begun at its end."""
        count = len(self.children)
        after = np.zeros((count, tokens), np.int32)
        back = np.zeros(count, np.int32)  # the state of the longest suffix that is one
        boost, loan = np.array(self.boost), np.array(self.loan)
        order = [0]
        for node in order:  # breadth first, growing: what a node falls back to is complete before it
            if node:
                boost[node] += boost[back[node]]
                loan[node] = max(loan[node], loan[back[node]])
                after[node] = after[back[node]]
            for token, child in self.children[node].items():
                back[child] = after[back[node], token] if node else 0
                after[node, token] = child
                order.append(child)
        won = boost[after]
        start = 0
        if boundary >= 0:
            start = self.children[0][boundary]
            between = np.flatnonzero(np.array(self.token) == boundary)
            after[between, boundary], won[between, boundary] = between, 0.0  # several boundaries are as good as one
        factor = np.exp(won + loan[after] - loan[:, None])
        swap = np.arange(count)
        swap[[0, start]] = start, 0  # its own inverse
        return HotArrays(boundary, swap[after][swap].astype(np.int32), won[swap], factor[swap])


@lean
def hot_score(tokens: Numbers, hot: HotArrays) -> float:
    """The boosts that a whole text has won."""
    state, total = 0, 0.0
    for place in range(len(tokens)):
        total += hot.won[state, tokens[place]]
        state = hot.after[state, tokens[place]]
    if hot.boundary >= 0:
        total += hot.won[state, hot.boundary]
    return float(total)


@compiled
def hot_scores(nodes: Nodes, leaves: Numbers, hot: HotArrays) -> Floats:
    """(texts,) the same for each of the texts that `leaves` stand for, numbers of nodes in a trie of prefixes."""
    scores = np.empty(len(leaves))
    for number in range(len(leaves)):
        scores[number] = hot_score(tokens_of(nodes, leaves[number]), hot)
    return scores
