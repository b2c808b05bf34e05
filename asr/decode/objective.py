"""What a language model says of whole texts: the last of the words ended, and the sentence with it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from asr.decode.compiled import compiled, lean
from asr.decode.fusion import START, Fusion, finish_word
from asr.decode.ngram_arrays import advance
from asr.decode.prefixes import Nodes, Numbers

Floats = npt.NDArray[np.float64]


@compiled
def whole_texts(nodes: Nodes, leaves: Numbers, fusion: Fusion, lm: Any) -> tuple[Numbers, Floats, Floats]:
    """Drop hypotheses that end inside a word; the texts that remain, and what the language model scores them.

    If none remains, each text is cut off before its first word that the vocabulary does not hold.

    Args:
        nodes: The trie of prefixes.
        leaves: (texts,) the node of each text.
        fusion: What binds prefixes to words.
        lm: `NgramModel.arrays`, or None.

    Returns:
        The nodes of the texts, their language model scores with </s>, and their word bonuses: (kept,) each.
    """
    kept = leaves.copy()
    lms, bonuses = np.empty(len(leaves)), np.empty(len(leaves))
    for number in range(len(leaves)):
        lms[number], bonuses[number] = _ended(nodes, leaves[number], fusion, lm)
    if lms.max() > -math.inf:
        whole = lms > -math.inf
        return kept[whole], lms[whole], bonuses[whole]
    for number in range(len(leaves)):
        node = leaves[number]
        while nodes[node]["lexeme"] != START or nodes[node]["score"] == -math.inf:
            node = nodes[node]["parent"]
        kept[number] = node
        lms[number], bonuses[number] = _ended(nodes, node, fusion, lm)
    return kept, lms, bonuses


@lean
def _ended(nodes: Nodes, node: int, fusion: Fusion, lm: Any) -> tuple[float, float]:
    """The language model's score of a text and the bonus of its words; -inf where the vocabulary does not allow it."""
    score, words, state = float(nodes[node]["score"]), int(nodes[node]["words"]), int(nodes[node]["state"])
    if nodes[node]["lexeme"] != START:
        finish_word(nodes, node, fusion, lm)
        score, words, state = score + nodes[node]["finish_score"], words + 1, int(nodes[node]["finish_state"])
    if score > -math.inf and lm is not None:
        score += fusion.weight * advance(lm, state, fusion.end)[0]
    return score, fusion.bonus * words
