"""N-gram language models: made from a table or a file, asked for words, sentences and perplexities.

lm = NgramModel.load("lm.arpa")
lm.score("the cat sat".split())                             # natural logarithm, </s> included
log_prob, state = advance(lm.arrays, lm.start, lm.id("the"))  # in a function compiled by numba as well
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from asr.decode import ngram_file
from asr.decode.arpa import read_arpa, write_arpa
from asr.decode.ngram_arrays import ROOT, NgramArrays, identify, score_words
from asr.decode.ngram_table import BEGIN, END, SPACE, UNKNOWN, Ids, NgramLevel, NgramTable, find
from asr.decode.sentences import characters_of
from asr.errors import LanguageModelError


@dataclass(frozen=True)
class Perplexity:
    """How well a model predicts a text.

    Attributes:
        sentences: And as many `</s>`.
        words: `</s>` not counted.
        unknown: Words that the model does not know.
        log_prob: Natural logarithm of the probability of all words and `</s>`.
        unknown_log_prob: The unknown words' part of it.
    """

    sentences: int = 0
    words: int = 0
    unknown: int = 0
    log_prob: float = 0.0
    unknown_log_prob: float = 0.0

    def __add__(self, other: Perplexity) -> Perplexity:
        """That of two texts together."""
        return Perplexity(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))

    @property
    def perplexity(self) -> float:
        """Of all words and `</s>`, NaN where there are none; unknown words with what the model gives to `<unk>`."""
        return _perplexity(self.log_prob, self.words + self.sentences)

    @property
    def perplexity_known(self) -> float:
        """Without the unknown words: lower, the more of them there are."""
        return _perplexity(self.log_prob - self.unknown_log_prob, self.words + self.sentences - self.unknown)

    @property
    def unknown_rate(self) -> float:
        """Unknown words as a share of all (the OOV rate)."""
        return self.unknown / self.words if self.words else 0.0


def _perplexity(log_prob: float, events: int) -> float:
    return math.exp(min(-log_prob / events, 700.0)) if events else math.nan


class NgramModel:
    """A back-off n-gram model.

    Args:
        arrays: The trie.
        words: The vocabulary by number.
        counts: N-grams of each order.

    Attributes:
        arrays: What `advance` takes.
        words: The vocabulary by number.
        counts: N-grams of each order.
        unknown: Number of `<unk>`, which all words outside the vocabulary share.
        end: Number of `</s>`.
        start: State at the beginning of a sentence, after `<s>`.
    """

    def __init__(self, arrays: NgramArrays, words: Sequence[str], counts: Sequence[int]) -> None:
        self.words = tuple(words)
        self.counts = tuple(counts)
        for array in arrays:
            array.flags.writeable = False  # numba compiles once, not again for arrays of a memory map
        self.arrays = arrays
        self._ids = {word: number for number, word in enumerate(self.words)}
        self.unknown = self._ids[UNKNOWN]
        self.end = self._ids[END]
        self.start = int(arrays.state[1 + self._ids[BEGIN]])

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a model, whatever its name ends with: ARPA, plain or compressed by gzip, or our binary form.

        Raises:
            LanguageModelError: Neither, damaged, or a pipe; the message names the file and, in ARPA, the line.
            OSError: It cannot be read.
        """
        if Path(path).is_fifo():
            raise LanguageModelError(f"{path}: a pipe, but a language model must be a file: it is read more than once")
        if ngram_file.is_binary(path):
            return cls(*ngram_file.read_binary(path))
        return cls.from_table(read_arpa(path))

    def save(self, path: str | Path) -> None:
        """Write the model: as ARPA if the name ends with .arpa or .arpa.gz, else in our binary form.

        Both hold all of it: the same `model_id` comes back.

        Raises:
            LanguageModelError: A word that cannot stand in a file.
            OSError: It cannot be written.
        """
        if Path(path).name.endswith((".arpa", ".arpa.gz")):
            write_arpa(path, self.to_table())
        else:
            ngram_file.write_binary(path, self.arrays, self.words, self.counts)

    @property
    def order(self) -> int:
        """Words in the longest n-grams."""
        return len(self.counts)

    @cached_property
    def model_id(self) -> str:
        """Hash of the vocabulary and all numbers; the same for the same model in any file."""
        return identify(self.arrays, self.words)

    @cached_property
    def characters(self) -> bool:
        """Whether its words are single characters (and `<space>`): a model for tokens, not for words."""
        plain = set(self.vocabulary) - {SPACE}
        return bool(plain) and all(len(word) == 1 for word in plain)

    @property
    def spaces(self) -> bool:
        """Whether it knows `<space>`: a model of characters, of texts with spaces."""
        return SPACE in self._ids

    def cut(self, sentence: str) -> list[str]:
        """A normalised sentence as the words or characters of this model.

        Where single characters are all that it knows, and no `<space>`, spaces have no place in it: it is of a language
        that writes none, or its words are spelled letters.
        """
        return characters_of(sentence, self.spaces) if self.characters else sentence.split()

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The words that a text may hold: without `<s>`, `</s>` and `<unk>`."""
        return tuple(word for word in self.words if word not in (BEGIN, END, UNKNOWN))

    def id(self, word: str) -> int:
        """Number of a word; that of `<unk>` where the vocabulary lacks it."""
        return self._ids.get(word, self.unknown)

    def score(self, sentence: Sequence[str]) -> float:
        """Natural logarithm of the probability of a sentence's words and of its end."""
        return float(self.scores(sentence).sum())

    def scores(self, sentence: Sequence[str]) -> npt.NDArray[np.float64]:
        """(words + 1,) natural log-probability of each word of a sentence, then of its end."""
        return score_words(self.arrays, self.start, self.end, self.numbers(sentence))

    def numbers(self, sentence: Sequence[str]) -> npt.NDArray[np.int64]:
        """(words + 1,) the numbers of a sentence's words, then of its end."""
        return np.array([*map(self.id, sentence), self.end], dtype=np.int64)

    def perplexity(self, sentences: Iterable[Sequence[str]]) -> Perplexity:
        """How well the model predicts the sentences of a text."""
        return sum((self.measure(self.numbers(sentence)) for sentence in sentences), Perplexity())

    def measure(self, numbers: npt.NDArray[np.int64]) -> Perplexity:
        """How well the model predicts a text that is given in its numbers, `end` after each sentence."""
        scores = score_words(self.arrays, self.start, self.end, numbers)
        strange = scores[numbers == self.unknown]
        ends = int(np.count_nonzero(numbers == self.end))
        return Perplexity(ends, len(numbers) - ends, len(strange), float(scores.sum()), float(strange.sum()))

    @classmethod
    def from_table(cls, table: NgramTable) -> Self:
        """The trie of a table.

        Raises:
            LanguageModelError: More than 2³¹ n-grams.
        """
        counts = [len(level) for level in table.levels]
        starts = np.cumsum([0, 1, *counts])  # first node of each level, the root being level 0
        nodes, inner = int(starts[-1]), int(starts[-2])
        if nodes > np.iinfo(np.int32).max:
            raise LanguageModelError(f"{nodes - 1:,} n-grams are more than a model can have")
        offsets = zip(starts[:-2], table.levels, strict=True)
        parent = np.concatenate([[-1], *(start + level.parent for start, level in offsets)]).astype(np.int64)
        word = np.concatenate([[-1], *(level.word for level in table.levels)]).astype(np.int32)
        log_prob = np.concatenate([[0.0], *(level.log_prob for level in table.levels)]).astype(np.float32)
        backoff = np.concatenate([[0.0], *(level.backoff for level in table.levels[:-1])]).astype(np.float32)
        first = np.searchsorted(parent, np.arange(inner + 1)).astype(np.int32)
        suffix = _suffixes(parent, word, starts, len(table.words))
        useful = (np.diff(first) > 0) | (backoff != 0)
        state = np.where(np.append(useful, np.zeros(nodes - inner, dtype=bool)), np.arange(nodes), -1)
        state[ROOT] = ROOT
        for start, stop in pairwise(starts[1:]):
            dull = start + np.flatnonzero(state[start:stop] < 0)
            state[dull] = state[suffix[dull]]
        arrays = NgramArrays(first, word, log_prob, backoff, suffix[:inner].copy(), state.astype(np.int32))
        return cls(arrays, table.words, counts)

    def to_table(self) -> NgramTable:
        """The inverse of `from_table`."""
        parent = np.repeat(np.arange(len(self.arrays.suffix)), np.diff(self.arrays.first))
        starts = np.cumsum([0, 1, *self.counts])
        levels = []
        for below, start, stop in zip(starts, starts[1:], starts[2:], strict=False):
            backoff = np.zeros(stop - start, dtype=np.float32)
            known = self.arrays.backoff[start:stop]  # nothing for the highest order
            backoff[: len(known)] = known
            levels.append(
                NgramLevel(
                    (parent[start - 1 : stop - 1] - below).astype(np.int32),
                    self.arrays.word[start:stop],
                    self.arrays.log_prob[start:stop],
                    backoff,
                )
            )
        return NgramTable(self.words, tuple(levels))


def _suffixes(parent: npt.NDArray[np.int64], word: Ids, starts: npt.NDArray[np.int64], vocabulary: int) -> Ids:
    """(nodes,) the longest n-gram of the model that each one ends with, itself excepted.

    That of history + word is a suffix of the history, + word; the longest for which there is such an n-gram. Usually
    that is the first; pruned models (SRILM's) lack some.
    """
    suffix = np.zeros(len(word), dtype=np.int32)
    if len(starts) < 4:  # single words alone
        return suffix
    deep = int(starts[2])  # the first pair
    keys = parent[deep:] * vocabulary + word[deep:]
    for start, stop in pairwise(starts[2:]):
        open_, history = np.arange(start, stop), suffix[parent[start:stop]].astype(np.int64)
        while len(open_):
            found = deep + find(keys, history * vocabulary + word[open_])
            found = np.where(history == ROOT, 1 + word[open_], found)
            done = (history == ROOT) | (found >= deep)
            suffix[open_[done]] = found[done]
            open_, history = open_[~done], suffix[history[~done]].astype(np.int64)
    return suffix
