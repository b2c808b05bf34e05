"""A trie of words: how the words of a language model or of a closed vocabulary are spelled with a model's tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from asr.decode.hypothesis import DecodeError

Numbers = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Lexicon:
    """Words as a trie in flat arrays; node 0 is the root, a node's children are neighbours and come after it.

    Attributes:
        words: The words that can be spelled, each once, sorted by their tokens.
        unspellable: Those that cannot.
        first: (nodes + 1,) first child of each node; its last child stands before the next node's first.
        token: (nodes,) the token by which each node is reached, rising among the children of one; -1 for the root.
        parent: (nodes,) -1 for the root.
        word: (nodes,) the index in `words` of the one that ends there; -1: none does.
    """

    words: tuple[str, ...]
    unspellable: tuple[str, ...]
    first: Numbers
    token: Numbers
    parent: Numbers
    word: Numbers

    @classmethod
    def build(
        cls, words: Iterable[str], spell: Callable[[str], Sequence[int] | None], alphabet: Iterable[str]
    ) -> Lexicon:
        """The trie of words.

        Args:
            words: In any order; what stands there twice counts once. Those that cannot be spelled are left out.
            spell: The tokens of a word, the one between words not among them; None where there are none for it.
            alphabet: What words may be made of, for people to read.

        Raises:
            DecodeError: No word can be spelled.
        """
        spelled: dict[tuple[int, ...], str] = {}
        unspellable = []
        for word in dict.fromkeys(words):
            spelling = spell(word) if word else None
            if spelling:
                spelled[tuple(spelling)] = word
            else:
                unspellable.append(word)
        if not spelled:
            example = next((word for word in unspellable if word), None)
            named = f", such as {example!r}" if example else ""
            raise DecodeError(
                f"no word can be spelled with the model's characters {''.join(alphabet)!r:.80}{named}: "
                "normalise the words as the training texts were"
            )
        spellings = sorted(spelled)
        arrays = _trie(spellings)
        return cls(tuple(spelled[spelling] for spelling in spellings), tuple(unspellable), *arrays)


def _trie(spellings: Sequence[tuple[int, ...]]) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    """The arrays `first`, `token`, `parent` and `word` for spellings that are sorted, each once.

    Level by level: in the order of the spellings, a new node begins where the parent or the token changes.
    """
    lengths = np.array([len(spelling) for spelling in spellings])
    flat = np.fromiter(chain.from_iterable(spellings), np.int32, lengths.sum())
    starts = np.cumsum(lengths) - lengths
    going = np.arange(len(spellings))  # those that have a token at this depth
    places = np.zeros(len(spellings), np.int64)  # the node that each spelling has reached
    tokens, parents, words = [np.array([-1])], [np.array([-1])], [np.array([-1])]
    count = 1
    for depth in range(lengths.max()):
        going = going[lengths[going] > depth]
        origin, letter = places[going], flat[starts[going] + depth]
        begins = np.ones(len(going), bool)
        begins[1:] = (origin[1:] != origin[:-1]) | (letter[1:] != letter[:-1])
        places[going] = count - 1 + np.cumsum(begins)
        ends = np.full(int(begins.sum()), -1)
        done = going[lengths[going] == depth + 1]
        ends[places[done] - count] = done
        tokens.append(letter[begins])
        parents.append(origin[begins])
        words.append(ends)
        count += len(ends)
    parent = np.concatenate(parents)
    first = np.searchsorted(parent, np.arange(count + 1)).astype(np.int32)
    return (
        first,
        np.concatenate(tokens).astype(np.int32),
        parent.astype(np.int32),
        np.concatenate(words).astype(np.int32),
    )
