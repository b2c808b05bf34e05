"""What binds the prefixes of a search to words: shallow fusion with a language model, and a closed vocabulary.

The objective is

    ln p(tokens | audio) + lm_weight x sum of ln p(word | words before), </s> included + word_bonus x words

and a constant penalty for each word that the language model does not know. A search would judge unfinished words too
kindly if they cost nothing until they end. So a prefix is charged from its word's first token on with the best that its
word can still become, by single-word probabilities, and with the bonus; where the word ends, what it has been charged
gives way to what it costs in its context. The charge is a function of the prefix and cancels in the end: it decides
what is pruned, and nothing else.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from asr.decode.compiled import compiled, lean
from asr.decode.lexicon import Lexicon
from asr.decode.ngram import NgramModel
from asr.decode.ngram_arrays import advance
from asr.decode.ngram_table import SPACE
from asr.decode.prefixes import Nodes, Numbers

START = 0  # the lexeme between words: the root of the lexicon
OUTSIDE = -1  # the lexeme of a word that the lexicon does not hold: the last row

Floats = npt.NDArray[np.float64]
Lexemes = npt.NDArray[Any]  # of LEXEME

LEXEME = np.dtype(
    [
        ("first", np.int32),  # its first child; children are neighbours, sorted by token
        ("end", np.int32),  # what comes after the last
        ("token", np.int32),
        ("word", np.int32),  # the language model's number of the word that ends here; -1: none may
        ("charge", np.float64),  # of an unfinished word: the best score of any word from here on
        ("enter", np.float64),  # exp(charge - the parent's)
        ("leave", np.float64),  # exp(charge outside the lexicon - charge); 0: nothing else may be said
        ("most", np.float64),  # no less than the factor where the word ends here, whatever the context
    ],
    align=True,
)


class Fusion(NamedTuple):
    """A lexicon and the scores of a language model in the form that compiled loops take.

    Attributes:
        boundary: The token between words; -1: each token is a word.
        weight: Of the language model's natural logarithms.
        bonus: For each word.
        penalty: Added for each word that the language model does not know.
        closed: Whether a prefix that leaves the lexicon is dropped.
        start: The language model's state before the first word.
        end: Its number of the end of a sentence.
        unknown: Its number of unknown words; -1 without a language model.
        ceiling: No less than any factor, except where a word ends.
        lexemes: (lexemes + 1,) LEXEME: the nodes of the lexicon, the root first, and a row for words outside it.
        words: (tokens,) where each token is a word, the language model's numbers of them.
    """

    boundary: int
    weight: float
    bonus: float
    penalty: float
    closed: bool
    start: int
    end: int
    unknown: int
    ceiling: float
    lexemes: Lexemes
    words: Numbers


def word_fusion(
    lexicon: Lexicon, boundary: int, lm: NgramModel | None, weight: float, bonus: float, penalty: float, closed: bool
) -> Fusion:
    """Fusion where words are spelled with several tokens.

    Args:
        lexicon: Words that the search knows how to spell.
        boundary: The token between words.
        lm: Without one a word costs nothing but the bonus.
        weight: Of its natural logarithms; 0 or more.
        bonus: For each word.
        penalty: Added for each word that it does not know.
        closed: Whether no other words may be recognised.
    """
    ends = lexicon.word >= 0
    numbers, singles, outside = np.zeros(len(lexicon.words), np.int32), np.full(len(lexicon.words), bonus), bonus
    if lm is not None:
        numbers = np.array([lm.id(text) for text in lexicon.words], np.int32)
        singles = bonus + weight * lm.arrays.log_prob[numbers + 1].astype(np.float64)
        singles[numbers == lm.unknown] += penalty
        outside = bonus + weight * float(lm.arrays.log_prob[lm.unknown + 1]) + penalty
    charge = _best_ahead(lexicon.word, lexicon.parent, singles)
    if not closed:
        charge = np.maximum(charge, outside)
    charge[START] = 0.0
    other = -1 if closed or lm is None else lm.unknown
    lexemes = np.zeros(len(ends) + 1, LEXEME)
    inside = lexemes[:-1]
    inside["first"], inside["end"], inside["token"] = lexicon.first[:-1], lexicon.first[1:], lexicon.token
    inside["word"] = np.where(ends, numbers[lexicon.word], other)
    inside["charge"] = charge
    inside["enter"] = np.exp(charge - charge[np.maximum(lexicon.parent, 0)])
    inside["leave"] = 0.0 if closed else np.exp(outside - charge)
    lexemes[OUTSIDE]["word"], lexemes[OUTSIDE]["charge"], lexemes[OUTSIDE]["leave"] = other, outside, float(not closed)
    lexemes["most"] = np.where(lexemes["word"] >= 0, np.exp(bonus + max(penalty, 0.0) - lexemes["charge"]), 0.0)
    lexemes[START]["most"] = 1.0
    return Fusion(
        boundary=boundary,
        weight=weight,
        bonus=bonus,
        penalty=penalty,
        closed=closed,
        start=lm.start if lm else 0,
        end=lm.end if lm else 0,
        unknown=lm.unknown if lm else -1,
        ceiling=float(max(1.0, inside["enter"].max(), inside["leave"].max())),
        lexemes=lexemes,
        words=np.zeros(0, np.int32),
    )


def token_fusion(tokens: tuple[str, ...], lm: NgramModel, weight: float, bonus: float, penalty: float) -> Fusion:
    """Fusion where each token is a word of the language model."""
    names = [SPACE if token == " " else token for token in tokens]
    return Fusion(
        boundary=-1,
        weight=weight,
        bonus=bonus,
        penalty=penalty,
        closed=False,
        start=lm.start,
        end=lm.end,
        unknown=lm.unknown,
        ceiling=math.exp(bonus + max(penalty, 0.0)),
        lexemes=np.zeros(1, LEXEME),
        words=np.array([lm.id(name) for name in names], np.int32),
    )


@compiled
def _best_ahead(words: Numbers, parents: Numbers, scores: Floats) -> Floats:
    """(lexemes,) the best of the scores of the words, (words,), that pass each node of a lexicon: see `Lexicon`."""
    best = np.where(words >= 0, scores[words], -np.inf)
    for node in range(len(best) - 1, 0, -1):  # children come after their parents
        best[parents[node]] = max(best[parents[node]], best[node])
    return best


@lean
def word_score(fusion: Fusion, lm: Any, state: int, word: int) -> tuple[float, int]:
    """What a word costs in its context, bonus included, and the language model's state after it."""
    score, after = fusion.bonus, 0
    if lm is not None:
        log_prob, after = advance(lm, state, word)
        score += fusion.weight * log_prob
        if word == fusion.unknown:
            score += fusion.penalty
    return score, after


@lean
def spell(lexemes: Lexemes, lexeme: int, token: int) -> int:
    """The lexeme of a word with one more token."""
    for child in range(lexemes[lexeme]["first"], lexemes[lexeme]["end"]):
        if lexemes[child]["token"] == token:
            return child
    return OUTSIDE


@lean
def spelling_factor(lexemes: Lexemes, lexeme: int, token: int) -> float:
    """What the mass of a prefix is multiplied by where a token goes on with its word; 0: no word is spelled so."""
    after = spell(lexemes, lexeme, token)
    return float(lexemes[lexeme]["leave"] if after == OUTSIDE else lexemes[after]["enter"])


@lean
def word_factor(nodes: Nodes, node: int, token: int, fusion: Fusion, lm: Any) -> float:
    """The same where a token ends the prefix' word, or is a word itself; 0: the word may not end there."""
    if fusion.boundary < 0:
        return math.exp(word_score(fusion, lm, int(nodes[node]["state"]), int(fusion.words[token]))[0])
    if nodes[node]["lexeme"] == START:
        return 1.0
    finish_word(nodes, node, fusion, lm)
    return float(nodes[node]["finish"])


@lean
def finish_word(nodes: Nodes, node: int, fusion: Fusion, lm: Any) -> None:
    """Find out what it costs to end a prefix' word, unless that is known."""
    if not math.isnan(nodes[node]["finish"]):
        return
    lexeme = int(nodes[node]["lexeme"])
    word = int(fusion.lexemes[lexeme]["word"])
    if word < 0:
        nodes[node]["finish"], nodes[node]["finish_score"] = 0.0, -math.inf
        nodes[node]["finish_state"] = nodes[node]["state"]
        return
    score, after = word_score(fusion, lm, int(nodes[node]["state"]), word)
    nodes[node]["finish"] = math.exp(score - fusion.lexemes[lexeme]["charge"])
    nodes[node]["finish_score"] = score - fusion.bonus
    nodes[node]["finish_state"] = after


@lean
def set_context(nodes: Nodes, node: int, fusion: Fusion | None, lm: Any, hot: Any) -> None:
    """What a new node is to lexicon, language model and hot words, from what its parent is."""
    if fusion is not None or hot is not None:
        nodes[node]["factor"] = 1.0
        nodes[node]["finish"] = math.nan
        parent, token = int(nodes[node]["parent"]), int(nodes[node]["token"])
        if fusion is not None:
            lexeme, state = int(nodes[parent]["lexeme"]), int(nodes[parent]["state"])
            score, words = float(nodes[parent]["score"]), int(nodes[parent]["words"])
            if fusion.boundary < 0 or token == fusion.boundary:
                nodes[node]["factor"] = word_factor(nodes, parent, token, fusion, lm)
            else:
                nodes[node]["factor"] = spelling_factor(fusion.lexemes, lexeme, token)
            if fusion.boundary < 0:
                added, state = word_score(fusion, lm, state, int(fusion.words[token]))
                score, words = score + added - fusion.bonus, words + 1
            elif token != fusion.boundary:
                lexeme = spell(fusion.lexemes, lexeme, token)
                if fusion.closed and lexeme == OUTSIDE:
                    score = -math.inf
            elif lexeme != START:
                lexeme, state = START, int(nodes[parent]["finish_state"])
                score, words = score + nodes[parent]["finish_score"], words + 1
            nodes[node]["lexeme"], nodes[node]["state"] = lexeme, state
            nodes[node]["score"], nodes[node]["words"] = score, words
        if hot is not None:
            nodes[node]["hot"] = hot.after[nodes[parent]["hot"], token]
            nodes[node]["factor"] *= hot.factor[nodes[parent]["hot"], token]
