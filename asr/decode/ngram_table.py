"""A back-off n-gram model as a table: what an ARPA file says and what an estimator finds, order by order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
SPACE = "<space>"  # the space between words, as a word of a character model: no file format could hold " "

Ids = npt.NDArray[np.int32]
Logs = npt.NDArray[np.float32]


@dataclass(frozen=True)
class NgramLevel:
    """All n-grams of one order, each once, sorted by `parent`, then by `word`.

    Attributes:
        parent: (ngrams,) of an n-gram the index of its first n-1 words in the level below; 0 for single words.
        word: (ngrams,) number of its last word.
        log_prob: (ngrams,) natural logarithm of the probability of the last word after the others.
        backoff: (ngrams,) natural logarithm of the weight of shorter histories where none of this one's
            continuations fits; 0 where nothing is known, and for the highest order.
    """

    parent: Ids
    word: Ids
    log_prob: Logs
    backoff: Logs

    def __len__(self) -> int:
        return len(self.word)


@dataclass(frozen=True)
class NgramTable:
    """A back-off model (Katz 1987) of n-grams of the orders 1, 2, ...

    p(word | history) is that of the n-gram history + word, if there is one; else the history's back-off weight times
    p(word | history without its first word).

    Attributes:
        words: The vocabulary by number; `<s>`, `</s>` and `<unk>` are among them.
        levels: The n-grams of each order. Those of the first are the words, in the order of their numbers.
    """

    words: tuple[str, ...]
    levels: tuple[NgramLevel, ...]

    @property
    def order(self) -> int:
        """Words in the longest n-grams."""
        return len(self.levels)

    def texts(self) -> Iterator[list[str]]:
        """The n-grams of each order as they stand in its level, their words joined by spaces."""
        texts = [""]
        for order, level in enumerate(self.levels, 1):
            joint = " " if order > 1 else ""
            rows = zip(level.parent.tolist(), level.word.tolist(), strict=True)
            texts = [texts[parent] + joint + self.words[word] for parent, word in rows]
            yield texts


def find(keys: npt.NDArray[np.int64], wanted: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """(wanted,) index of each wanted key among the sorted `keys`; -1 where it is not there."""
    if not len(keys):
        return np.full(len(wanted), -1, dtype=np.int64)
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, places, -1)
