"""The part of the objective that depends on the text alone: what a language model says of whole texts."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from asr.decode.compiled import compiled
from asr.decode.fusion import START, Fusion, spell, word_at, word_score
from asr.decode.ngram import advance
from asr.decode.prefixes import Nodes, Numbers, tokens_of

Floats = npt.NDArray[np.float64]


@compiled
def text_score(tokens: Numbers, fusion: Fusion, lm: Any) -> tuple[float, int, int]:
    """The language model's part of the objective for a whole text.

    Args:
        tokens: (tokens,) of the text. Boundaries at its edges, and several in a row, count as none and one.
        fusion: See `word_fusion`.
        lm: `NgramModel.arrays`, or None.

    Returns:
        The score without bonus, but with weight, penalties and </s>; the number of words; how many of the tokens, up
        to an end of a word, make sense: all of them where the vocabulary is open or the text is in it.
    """
    state, lexeme, total, words, good = fusion.start, START, 0.0, 0, 0
    for place in range(len(tokens) + 1):
        ends = place == len(tokens)
        token = fusion.boundary if ends else int(tokens[place])
        word = -1
        if fusion.boundary < 0:
            if ends:
                break
            word = int(fusion.words[token])
        elif token != fusion.boundary:
            lexeme = spell(fusion, lexeme, token)
            continue
        elif lexeme != START:
            word = word_at(fusion, lexeme)
            if word < 0:
                break
            lexeme = START
        if word >= 0:
            score, state = word_score(fusion, lm, state, word)
            total += score - fusion.bonus
            words += 1
        good = min(place + 1, len(tokens))
    if lm is not None:
        total += fusion.weight * advance(lm, state, fusion.end)[0]
    return total, words, good


@compiled
def whole_texts(nodes: Nodes, leaves: Numbers, fusion: Fusion, lm: Any) -> tuple[Numbers, Floats, Floats]:
    """Those of some texts that are made of whole words of the vocabulary, and what they score.

    If there is none, then of each text what stands before the first word that is none.

    Args:
        nodes: The trie of prefixes.
        leaves: (texts,) the node of each text.
        fusion: See `word_fusion`.
        lm: `NgramModel.arrays`, or None.

    Returns:
        The nodes of the texts, their language model scores and their word bonuses: (kept,) each.
    """
    kept = leaves.copy()
    lms, bonuses, missing = np.empty(len(leaves)), np.empty(len(leaves)), np.empty(len(leaves), np.int32)
    for number in range(len(leaves)):
        tokens = tokens_of(nodes, leaves[number])
        lms[number], words, good = text_score(tokens, fusion, lm)
        bonuses[number] = fusion.bonus * words
        missing[number] = len(tokens) - good
        for _ in range(missing[number]):
            kept[number] = nodes[kept[number]]["parent"]
    if missing.min() == 0:
        whole = missing == 0
        return kept[whole], lms[whole], bonuses[whole]
    return kept, lms, bonuses
