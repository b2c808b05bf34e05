"""Estimating n-gram models: interpolated modified Kneser-Ney smoothing.

The method is that of Chen and Goodman, "An empirical study of smoothing techniques for language modeling" (1999),
section 3 and equation 26 for the discounts; the details (n-grams that start a sentence, the uniform distribution at the
bottom) are those of Heafield et al., "Scalable modified Kneser-Ney language model estimation" (2013), section 3, so
that the result is that of KenLM's `lmplz`.

N-grams are numbers, never tuples: that of an n-gram is its rank among all (history's number, last word), so that an
order is counted by one sort. It took 120 bytes of memory a word for a million words at order 3.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count, pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from asr.decode.ngram_table import BEGIN, END, UNKNOWN, Ids, NgramLevel, NgramTable
from asr.errors import LanguageModelError

MAX_ORDER = 10
FALLBACK = (0.5, 1.0, 1.5)  # of what is counted once, twice, oftener; as `lmplz --discount_fallback`

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_SPECIAL = (UNKNOWN, BEGIN, END)  # have the first numbers
_UNKNOWN, _BEGIN, _END = range(3)


class Discounts(NamedTuple):
    """What is taken from the counts of one order's n-grams, to be given to words that were not seen.

    Attributes:
        one: From a count of 1.
        two: From a count of 2.
        more: From a count of 3 or more.
        fallback: Why these are `FALLBACK`; empty where the text gave them.
    """

    one: float
    two: float
    more: float
    fallback: str = ""


@dataclass(frozen=True)
class Estimate:
    """A model and what is known about its making.

    Attributes:
        table: The model.
        discounts: Of each order.
        sentences: In the text.
        words: In the text, `</s>` not counted.
        unknown: Those of them that are outside the vocabulary.
        text: (words + sentences,) the text in the model's numbers, `</s>` after each sentence.
    """

    table: NgramTable
    discounts: tuple[Discounts, ...]
    sentences: int
    words: int
    unknown: int
    text: Ids


@dataclass
class _Counted:
    """The n-grams of one order, sorted by history, then by word.

    Attributes:
        parent: (ngrams,) number of the first n-1 words.
        word: (ngrams,) number of the last.
        suffix: (ngrams,) number of the last n-1 words.
        begins: (ngrams,) whether the first word is `<s>`.
        counts: (ngrams,) how often each stands in the text, then Kneser and Ney's count.
    """

    parent: Counts
    word: Counts
    suffix: Counts
    begins: npt.NDArray[np.bool_]
    counts: Counts


def estimate(
    sentences: Iterable[Sequence[str]], order: int, vocabulary: int | None = None, min_count: int = 1
) -> Estimate:
    """The model of a text.

    Words outside the vocabulary are counted as `<unk>`, whose probability then is that of all of them together. With no
    limit there are none, and `<unk>` gets what the uniform distribution at the bottom gives to any word.

    Args:
        sentences: Words of each, without `<s>` and `</s>`.
        order: Words in the longest n-grams, 1 to `MAX_ORDER`.
        vocabulary: The most words to know; the most frequent stay, of equally frequent ones the earlier.
        min_count: How often a word must occur to be known.

    Raises:
        LanguageModelError: No words in the text, `<s>` or `</s>` among them, or such an order.
    """
    if not 1 <= order <= MAX_ORDER:
        raise LanguageModelError(f"the order of a language model must be 1 to {MAX_ORDER}, not {order}")
    text, words = _numbered(sentences)
    text, words = _limited(text, words, vocabulary, min_count)
    levels = _counted(text, len(words), order)
    _adjust(levels)
    discounts = tuple(_discounts(level.counts, number) for number, level in enumerate(levels, 1))
    said = text[text != _BEGIN]
    ends = int(np.count_nonzero(said == _END))
    return Estimate(
        NgramTable(tuple(words), _smoothed(levels, discounts)),
        discounts,
        sentences=ends,
        words=len(said) - ends,
        unknown=int(np.count_nonzero(said == _UNKNOWN)),
        text=said,
    )


def _numbered(sentences: Iterable[Sequence[str]]) -> tuple[Ids, list[str]]:
    """The text as numbers, each sentence between `<s>` and `</s>`, and the words in the order of their appearance."""
    numbers: defaultdict[str, int] = defaultdict(count().__next__)
    for word in _SPECIAL:
        numbers[word]
    text = array("i")
    markers = 0
    for sentence in sentences:
        text.append(_BEGIN)
        text.extend(map(numbers.__getitem__, sentence))
        text.append(_END)
        markers += 2
    ids: Ids = np.frombuffer(text, dtype=np.int32) if text else np.empty(0, dtype=np.int32)
    if len(ids) == markers:
        raise LanguageModelError("no words in the text to train a language model on")
    if np.count_nonzero((ids == _BEGIN) | (ids == _END)) > markers:
        raise LanguageModelError(f"the text contains {BEGIN} or {END} as a word; remove them (each line is a sentence)")
    return ids, list(numbers)


def _limited(text: Ids, words: list[str], vocabulary: int | None, min_count: int) -> tuple[Ids, list[str]]:
    """Text and words numbered anew, the most frequent first, with `<unk>` for those that are too rare."""
    counts = np.bincount(text, minlength=len(words))
    special = len(_SPECIAL)
    ranked = special + np.argsort(-counts[special:], kind="stable")
    known = ranked[counts[ranked] >= min_count][:vocabulary]
    if not len(known):
        raise LanguageModelError(f"no word occurs {min_count:,} times: lower the minimum count")
    numbers = np.zeros(len(words), dtype=np.int32)
    numbers[:special] = range(special)
    numbers[known] = np.arange(special, special + len(known))
    return numbers[text], [*_SPECIAL, *(words[number] for number in known)]


def _counted(text: Ids, vocabulary: int, order: int) -> list[_Counted]:
    """All n-grams of orders 1 to `order` within sentences, each with the number of its occurrences."""
    counts = np.bincount(text, minlength=vocabulary)
    nothing = np.zeros(vocabulary, dtype=np.int64)
    words = np.arange(vocabulary)
    levels = [_Counted(nothing, words, nothing, words == _BEGIN, counts)]
    ending = text  # at each place of the text, the n-gram that ends there; -1: it would start before the sentence
    for _ in range(1, order):
        shorter = ending
        places = 1 + np.flatnonzero((shorter[:-1] >= 0) & (text[1:] != _BEGIN))
        keys = shorter[places - 1].astype(np.int64) * vocabulary + text[places]
        keys, ranks, counts = np.unique(keys, return_inverse=True, return_counts=True)
        parent, word = np.divmod(keys, vocabulary)
        suffix = np.zeros(len(keys), dtype=np.int64)
        suffix[ranks] = shorter[places]
        ending = np.full(len(text), -1, dtype=np.int32)
        ending[places] = ranks
        levels.append(_Counted(parent, word, suffix, levels[-1].begins[parent], counts))
    return levels


def _adjust(levels: Sequence[_Counted]) -> None:
    """Below the highest order, count not how often an n-gram occurs but how many words it follows.

    Those that start a sentence follow none, and keep their counts; `<s>` alone is never predicted, and has none.
    """
    for level, longer in pairwise(levels):
        followed = np.bincount(longer.suffix, minlength=len(level.counts))
        level.counts = np.where(level.begins, level.counts, followed)
    levels[0].counts[_BEGIN] = 0


def _discounts(counts: Counts, order: int) -> Discounts:
    """Chen and Goodman's estimate (equation 26) from how many n-grams are counted once, twice, ...; or `FALLBACK`."""
    _, once, twice, thrice, four, *_ = np.bincount(np.minimum(counts, 5), minlength=6).tolist()
    for often, ngrams in enumerate((once, twice, thrice), 1):
        if not ngrams:
            return Discounts(*FALLBACK, f"no {order}-gram has the count {often}")
    share = once / (once + 2 * twice)
    one, two, more = (
        1 - 2 * share * twice / once,
        2 - 3 * share * thrice / twice,
        3 - 4 * share * four / thrice,
    )
    if not (two > 0 and more > 0):  # none is ever too large, and the first is a share
        return Discounts(*FALLBACK, f"the counts of {order}-grams give a discount below 0")
    return Discounts(one, two, more)


def _smoothed(levels: Sequence[_Counted], discounts: Sequence[Discounts]) -> tuple[NgramLevel, ...]:
    """Probabilities and back-off weights of all n-grams, from the shortest to the longest."""
    known = len(levels[0].word) - 1  # <s> is never predicted
    lower = np.array([1 / known])  # of the suffix of each n-gram; below the words there is the uniform distribution
    probabilities, weights = [], []
    for level, discount in zip(levels, discounts, strict=True):
        amounts = np.array([0.0, *discount[:3]])[np.minimum(level.counts, 3)]
        histories = len(lower)
        totals = np.bincount(level.parent, level.counts, histories)
        left = np.bincount(level.parent, amounts, histories)
        weight = np.divide(left, totals, out=np.ones(histories), where=totals > 0)
        seen = (level.counts - amounts) / totals[level.parent]
        lower = seen + weight[level.parent] * lower[level.suffix]
        if level is levels[0]:
            lower[_BEGIN] = 1.0
        probabilities.append(lower)
        weights.append(weight)
    weights.append(np.ones(len(lower)))
    return tuple(
        NgramLevel(
            level.parent.astype(np.int32),
            level.word.astype(np.int32),
            np.log(np.minimum(probability, 1.0)).astype(np.float32),
            np.log(weight).astype(np.float32),
        )
        for level, probability, weight in zip(levels, probabilities, weights[1:], strict=True)
    )
