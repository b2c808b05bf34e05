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

from asr.decode.compiled import compiled
from asr.decode.lexicon import Lexicon
from asr.decode.ngram import NgramModel, advance
from asr.decode.ngram_table import SPACE
from asr.decode.prefixes import Nodes, Numbers

START = 0  # the lexeme between words: the root of the lexicon
OUTSIDE = -1  # the lexeme of a word that the lexicon does not hold

Floats = npt.NDArray[np.float64]


class Fusion(NamedTuple):
    """A lexicon and the scores of a language model in the form that compiled loops take; see `word_fusion`.

    Attributes:
        boundary: The token between words; -1: each token is a word.
        weight: Of the language model's natural logarithms.
        bonus: For each word.
        penalty: Added for each word that the language model does not know.
        closed: Whether a prefix that leaves the lexicon is dropped.
        start: The language model's state before the first word.
        end: Its number of the end of a sentence.
        unknown: Its number of unknown words; -1 without a language model.
        first: (lexemes + 1,) first child of each node of the lexicon; children are neighbours, sorted by token.
        token: (lexemes,) the last token of each node.
        word: (lexemes,) the language model's number of the word that ends there; -1: none does.
        ahead: (lexemes,) what an unfinished word is charged: the best score of any word from there on.
        enter: (lexemes,) exp(charge - charge of the parent).
        leave: (lexemes,) exp(charge outside the lexicon - charge here).
        outside: What a word outside the lexicon is charged.
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
    first: Numbers
    token: Numbers
    word: Numbers
    ahead: Floats
    enter: Floats
    leave: Floats
    outside: float
    words: Numbers


def word_fusion(
    lexicon: Lexicon, boundary: int, lm: NgramModel | None, weight: float, bonus: float, penalty: float, closed: bool
) -> Fusion:
    """Fusion where words are spelled with several tokens.

    Args:
        lexicon: Words that the search knows how to spell.
        boundary: The token between words.
        lm: Without one a word costs nothing.
        weight: Of its natural logarithms.
        bonus: For each word.
        penalty: Added for each word that it does not know.
        closed: Whether no other words may be recognised.
    """
    at = lexicon.word
    word = np.full(len(at), -1, np.int32)
    ahead = np.full(len(at), -np.inf)
    outside = bonus
    if lm is None:
        word[at >= 0] = 0
        ahead[at >= 0] = bonus
    else:
        numbers = np.array([lm.id(text) for text in lexicon.words], np.int32)
        singles = np.array([weight * _single(lm, number) for number in numbers]) + bonus
        singles[numbers == lm.unknown] += penalty
        outside = weight * _single(lm, lm.unknown) + bonus + penalty
        word[at >= 0] = numbers[at[at >= 0]]
        ahead[at >= 0] = singles[at[at >= 0]]
    for node in range(len(at) - 1, 0, -1):  # children come after their parents
        ahead[lexicon.parent[node]] = max(ahead[lexicon.parent[node]], ahead[node])
    if not closed:
        ahead = np.maximum(ahead, outside)
    ahead[START] = 0.0
    return Fusion(
        boundary=boundary,
        weight=weight,
        bonus=bonus,
        penalty=penalty,
        closed=closed,
        start=lm.start if lm else 0,
        end=lm.end if lm else 0,
        unknown=lm.unknown if lm else -1,
        first=lexicon.first,
        token=lexicon.token,
        word=word,
        ahead=ahead,
        enter=np.exp(ahead - ahead[np.maximum(lexicon.parent, 0)]),
        leave=np.exp(outside - ahead),
        outside=outside,
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
        first=np.zeros(2, np.int32),
        token=np.zeros(1, np.int32),
        word=np.full(1, -1, np.int32),
        ahead=np.zeros(1),
        enter=np.ones(1),
        leave=np.ones(1),
        outside=0.0,
        words=np.array([lm.id(name) for name in names], np.int32),
    )


def _single(lm: NgramModel, word: int) -> float:
    """Natural logarithm of the probability of a word by itself."""
    return float(lm.arrays.log_prob[word + 1])


@compiled
def word_score(fusion: Fusion, lm: Any, state: int, word: int) -> tuple[float, int]:
    """What a word costs in its context, bonus included, and the language model's state after it."""
    score, after = fusion.bonus, 0
    if lm is not None:
        log_prob, after = advance(lm, state, word)
        score += fusion.weight * log_prob
        if word == fusion.unknown:
            score += fusion.penalty
    return score, after


@compiled
def spell(fusion: Fusion, lexeme: int, token: int) -> int:
    """The lexeme of a word with one more token."""
    if lexeme == OUTSIDE:
        return OUTSIDE
    for child in range(fusion.first[lexeme], fusion.first[lexeme + 1]):
        if fusion.token[child] == token:
            return child
    return OUTSIDE


@compiled
def word_at(fusion: Fusion, lexeme: int) -> int:
    """The language model's number of the word that ends at a lexeme; -1: none may."""
    word = -1 if lexeme == OUTSIDE else int(fusion.word[lexeme])
    if word < 0 and not fusion.closed:
        return fusion.unknown
    return word


@compiled
def extension_factor(nodes: Nodes, node: int, token: int, fusion: Fusion | None, lm: Any, hot: Any) -> float:
    """What the mass of a prefix is multiplied by where a token extends it; 0: it may not."""
    factor = 1.0
    if fusion is not None:
        lexeme = int(nodes[node]["lexeme"])
        if fusion.boundary < 0:
            factor = math.exp(word_score(fusion, lm, int(nodes[node]["state"]), int(fusion.words[token]))[0])
        elif token == fusion.boundary:
            if lexeme != START:
                if math.isnan(nodes[node]["finish"]):
                    _finish(nodes, node, fusion, lm)
                factor = nodes[node]["finish"]
        elif lexeme != OUTSIDE:
            after = spell(fusion, lexeme, token)
            if after != OUTSIDE:
                factor = fusion.enter[after]
            elif fusion.closed:
                factor = 0.0
            else:
                factor = fusion.leave[lexeme]
    if hot is not None:
        factor *= hot.factor[nodes[node]["hot"], token]
    return factor


@compiled
def _finish(nodes: Nodes, node: int, fusion: Fusion, lm: Any) -> None:
    """Find out what it costs to end a prefix' word, once."""
    lexeme = int(nodes[node]["lexeme"])
    word = word_at(fusion, lexeme)
    if word < 0:
        nodes[node]["finish"] = 0.0
        return
    score, after = word_score(fusion, lm, int(nodes[node]["state"]), word)
    charged = fusion.outside if lexeme == OUTSIDE else fusion.ahead[lexeme]
    nodes[node]["finish"] = math.exp(score - charged)
    nodes[node]["finish_state"] = after


@compiled
def set_context(nodes: Nodes, node: int, fusion: Fusion | None, lm: Any, hot: Any) -> None:
    """What a new node is to lexicon, language model and hot words, from what its parent is."""
    nodes[node]["factor"] = 1.0
    nodes[node]["finish"] = math.nan
    if fusion is not None or hot is not None:
        parent, token = int(nodes[node]["parent"]), int(nodes[node]["token"])
        nodes[node]["factor"] = extension_factor(nodes, parent, token, fusion, lm, hot)
        lexeme, state = int(nodes[parent]["lexeme"]), int(nodes[parent]["state"])
        if fusion is not None:
            if fusion.boundary < 0:
                state = word_score(fusion, lm, state, int(fusion.words[token]))[1]
            elif token != fusion.boundary:
                lexeme = spell(fusion, lexeme, token)
            elif lexeme != START:
                lexeme, state = START, int(nodes[parent]["finish_state"])
        nodes[node]["lexeme"], nodes[node]["state"] = lexeme, state
        if hot is not None:
            nodes[node]["hot"] = hot.after[nodes[parent]["hot"], token]
