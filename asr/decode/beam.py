"""Beam search: the most probable texts under CTC, a language model and hot words."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from asr.decode.batch import LogProbs, utterances_of
from asr.decode.climb import climb
from asr.decode.fusion import Fusion, token_fusion, word_fusion
from asr.decode.hotwords import HotWords, hot_scores
from asr.decode.hypothesis import DecodeError, Hypothesis, probabilities_of
from asr.decode.lexicon import Lexicon
from asr.decode.majority import best_path, majority_score
from asr.decode.ngram import NgramModel
from asr.decode.objective import whole_texts
from asr.decode.prefixes import Nodes, Numbers, tokens_of
from asr.decode.rescore import exact_scores
from asr.decode.search import Limits, add_text, new_work, search
from asr.decode.wordlists import words_id

Floats = npt.NDArray[np.float64]


class BeamDecoder:
    """Prefix beam search.

    What is found is scored again without any pruning, the greedy text among it: the best answer is never worse than
    greedy decoding's, by the score that hypotheses are ranked by. Without language model, lexicon and hot words it is
    then climbed from: no single token inserted, removed or replaced makes the tokens of the best answer more probable
    (of those tokens that `token_floor` and alignments that `beam_threshold` leave). A text that has more than half of
    all probability is that answer, and nothing is searched where it alone is asked for.

    Args:
        tokens: Token strings by number.
        word_boundary: The token between words; None: each token is a word, as in languages without spaces; "": each
            text is one word, as where single words were recorded, so that no model has learnt where one ends.
        beam: Prefixes kept at each step.
        lm: Language model: of words, or of tokens where each is a word.
        lm_weight: What its natural logarithms are multiplied by.
        word_bonus: Added for each word where there is a language model.
        lexicon: The words that may be recognised; None: any. If no text of the beam ends with a whole word, those up
            to the last whole word count, and if nothing fits the words at all, the answer is the empty text.
        unknown_penalty: Added for each word that the language model does not know, to its score of `<unk>`.
        beam_threshold: A prefix that is less probable than the best one by more than this (natural logarithm) is
            dropped.
        token_floor: A token of a lower log-probability extends no prefix; the blank and the last token always count.
        blank: Number of the blank.
        spell: The tokens that a word is written with, None where there are none for it, as `Tokenizer.spell` gives
            them; None: one for each character.

    Attributes:
        unspellable: Words of the lexicon or language model that the tokens cannot spell.

    Raises:
        DecodeError: A setting that makes no sense, no such word boundary, or no word that can be spelled.
    """

    def __init__(
        self,
        tokens: Sequence[str],
        word_boundary: str | None = " ",
        beam: int = 100,
        lm: NgramModel | None = None,
        lm_weight: float = 0.5,
        word_bonus: float = 1.0,
        *,
        lexicon: Iterable[str] | None = None,
        unknown_penalty: float = -10.0,
        beam_threshold: float = 20.0,
        token_floor: float = -12.0,
        blank: int = 0,
        spell: Callable[[str], Sequence[int] | None] | None = None,
    ) -> None:
        if not 0 <= blank < len(tokens):
            raise DecodeError(f"the blank must be one of the {len(tokens)} tokens, not number {blank}")
        if not math.isfinite(unknown_penalty):
            raise DecodeError(f"unknown_penalty must be a number, not {unknown_penalty}")
        if not beam_threshold > 0 or not token_floor <= 0:
            raise DecodeError("beam_threshold must be above 0 and token_floor not above it; inf and -inf prune nothing")
        self.tokens = tuple(tokens)
        self.word_boundary = word_boundary
        # One word a text: the boundary is a token more, which no step gives any probability.
        self._searched = (*self.tokens, " ") if word_boundary == "" else self.tokens
        self.blank = blank
        self.spell = spell
        self.lm = lm
        self.unknown_penalty = unknown_penalty
        self.beam_threshold, self.token_floor = beam_threshold, token_floor
        self._words = list(lexicon) if lexicon is not None else None
        if self._words == []:
            raise DecodeError("the lexicon is empty")
        self._lexicon = self._make_lexicon()
        self.unspellable = self._lexicon.unspellable if self._lexicon else ()
        self._lm = lm.arrays if lm else None
        self._set_weights(beam, lm_weight, word_bonus)

    def with_weights(self, beam: int, lm_weight: float, word_bonus: float) -> BeamDecoder:
        """The same decoder with another beam and other weights; they share the trie of words, which is slow to build.

        Raises:
            DecodeError: A value that makes no sense.
        """
        other = copy(self)
        other._set_weights(beam, lm_weight, word_bonus)
        return other

    def _set_weights(self, beam: int, lm_weight: float, word_bonus: float) -> None:
        if beam < 1:
            raise DecodeError(f"the beam must hold at least one prefix, not {beam}")
        for name, value in (("lm_weight", lm_weight), ("word_bonus", word_bonus)):
            if not math.isfinite(value):
                raise DecodeError(f"{name} must be a number, not {value}")
        if lm_weight < 0:
            raise DecodeError(f"lm_weight must be 0 or more, not {lm_weight}")
        self.beam, self.lm_weight, self.word_bonus = beam, lm_weight, word_bonus
        self._fusion = self._make_fusion()

    @property
    def settings(self) -> dict[str, Any]:
        """What a report says about how its text was decoded."""
        settings: dict[str, Any] = {
            "decoder": "beam",
            "beam": self.beam,
            "beam_threshold": self.beam_threshold,
            "token_floor": self.token_floor,
        }
        if self.lm is not None:
            settings |= {
                "lm": self.lm.model_id,
                "lm_order": self.lm.order,
                "lm_weight": self.lm_weight,
                "word_bonus": self.word_bonus,
                "unknown_penalty": self.unknown_penalty,
            }
        if self._words is not None:
            settings |= {"lexicon": words_id(self._words), "lexicon_words": len(set(self._words))}
        return settings

    def decode(
        self, log_probs: LogProbs, nbest: int = 1, hotwords: HotWords | Mapping[str, float] | None = None
    ) -> list[Hypothesis]:
        """The best hypotheses of one utterance, best first, no two of one text.

        Args:
            log_probs: (steps, tokens) normalised natural logarithms.
            nbest: Most hypotheses; there may be fewer.
            hotwords: See `decode_batch`.

        Raises:
            DecodeError: See `decode_batch`.
        """
        return self.decode_batch([log_probs], nbest=nbest, hotwords=hotwords)[0]

    def decode_batch(
        self,
        log_probs: Sequence[LogProbs] | LogProbs,
        lengths: Tensor | Sequence[int] | None = None,
        nbest: int = 1,
        threads: int = 1,
        hotwords: HotWords | Mapping[str, float] | None = None,
    ) -> list[list[Hypothesis]]:
        """The best hypotheses of several utterances, a list for each, best first, no two of one text.

        Args:
            log_probs: (batch, steps, tokens), or a list of (steps, tokens).
            lengths: (batch,) steps of each row; None: all of them. With a list there is nothing to say.
            nbest: Most hypotheses of an utterance.
            threads: Utterances that are decoded at the same time. What comes out does not depend on it.
            hotwords: Words and phrases, and what is added to the score for each time that one is said, as whole words;
                or what `hot_words` made of them, which spares making it for every batch.

        Raises:
            DecodeError: Not normalised log-probabilities over these tokens, or hot words of other characters.
        """
        if nbest < 1 or threads < 1:
            raise DecodeError(f"nbest and threads must be 1 or more, not {nbest} and {threads}")
        hot = hotwords if isinstance(hotwords, HotWords) else self.hot_words(hotwords or {})
        rows = utterances_of(log_probs, lengths)
        decode = partial(self._decode, nbest=nbest, hot=hot)
        if threads == 1:
            return [decode(row) for row in rows]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(decode, rows))

    def hot_words(self, boosts: Mapping[str, float]) -> HotWords | None:
        """Hot words in the form that the search takes, to be made once for many batches; None where there are none.

        Args:
            boosts: See `decode_batch`.

        Raises:
            DecodeError: Words of other characters than the tokens', or boosts that make no sense.
        """
        return HotWords.build(boosts, self._searched, self._boundary, self.spell) if boosts else None

    @property
    def _boundary(self) -> int:
        """The number of the token between words; -1 where each token is a word."""
        if self.word_boundary is None:
            return -1
        if self.word_boundary == "":
            return len(self.tokens)
        if self.word_boundary not in self.tokens:
            raise DecodeError(
                f"the model has no token {self.word_boundary!r} to end a word with; "
                'word_boundary=None treats each token as a word, and "" each text'
            )
        return self.tokens.index(self.word_boundary)

    def _make_lexicon(self) -> Lexicon | None:
        """The words of the lexicon, else of the language model; None without either, or where each token is a word."""
        words = self._words or (self.lm.vocabulary if self.lm else None)
        if words is None or self._boundary < 0:
            if self._words is not None:
                raise DecodeError("a lexicon needs words: word_boundary is None, which treats each token as one")
            return None
        apart = (self.blank, self._boundary)
        spelling = {token: number for number, token in enumerate(self.tokens) if number not in apart}
        return Lexicon.build(words, self.spell or partial(_letters, spelling), spelling)

    def _make_fusion(self) -> Fusion | None:
        if self._lexicon is not None:
            bonus = self.word_bonus if self.lm else 0.0
            weights = self.lm_weight, bonus, self.unknown_penalty
            return word_fusion(self._lexicon, self._boundary, self.lm, *weights, closed=self._words is not None)
        if self.lm is None:
            return None
        fusion = token_fusion(self.tokens, self.lm, self.lm_weight, self.word_bonus, self.unknown_penalty)
        if (np.delete(fusion.words, self.blank) == self.lm.unknown).all():
            raise DecodeError("the language model contains none of the tokens: is it a word model?")
        return fusion

    def _limits(self, hot: HotWords | None) -> Limits:
        ceiling = 1.0 if self._fusion is None else self._fusion.ceiling
        if hot is not None:
            ceiling *= float(hot.arrays.factor.max())
        return Limits(self.beam, math.exp(-self.beam_threshold), math.exp(self.token_floor), ceiling)

    def _decode(self, row: Tensor, nbest: int, hot: HotWords | None) -> list[Hypothesis]:
        """The best hypotheses of one utterance, (steps, tokens)."""
        log_probs, probabilities = probabilities_of(row, len(self.tokens))  # here: in float64 for one at a time
        if len(self._searched) > len(self.tokens):
            log_probs = np.pad(log_probs, ((0, 0), (0, 1)), constant_values=-np.inf)
            probabilities = np.pad(probabilities, ((0, 0), (0, 1)))
        fusion, lm = self._fusion, self._lm
        hot_arrays = hot.arrays if hot else None
        greedy_text = best_path(log_probs, self.blank)
        acoustic_only = fusion is None and hot is None
        if acoustic_only and nbest == 1:  # the most probable text is the answer
            score = majority_score(probabilities, self.blank, greedy_text)
            if not math.isnan(score):
                return [self._hypothesis(greedy_text, score)]
        start = fusion.start if fusion is not None else 0
        work = new_work(self.beam, len(self._searched), None if acoustic_only else start)
        nodes, count, leaves = search(probabilities, self.blank, self._limits(hot), work, fusion, lm, hot_arrays)
        nodes, count, greedy = add_text(nodes, count, greedy_text, fusion, lm, hot_arrays)
        leaves = np.unique(np.append(leaves, greedy)).astype(np.int32)
        lms = np.zeros(len(leaves))
        bonuses = np.zeros(len(leaves))
        if fusion is not None:
            leaves, lms, bonuses = whole_texts(nodes, leaves, fusion, lm)
        if hot_arrays is not None:
            bonuses = bonuses + hot_scores(nodes, leaves, hot_arrays)
        acoustic = exact_scores(log_probs, probabilities, self.blank, nodes, count, leaves)
        if acoustic_only:
            nodes, leaves, acoustic = self._climbed(log_probs, probabilities, nodes, count, leaves, acoustic)
            lms = bonuses = np.zeros(len(leaves))
        return self._best(nodes, leaves, acoustic, lms, bonuses, nbest)

    def _climbed(
        self, log_probs: Floats, probabilities: Floats, nodes: Nodes, count: int, leaves: Numbers, acoustic: Floats
    ) -> tuple[Nodes, Numbers, Floats]:
        """The texts, their nodes and scores, with the one that is reached from the best by single edits."""
        limits = self._limits(None)
        best = tokens_of(nodes, leaves[acoustic.argmax()])
        tokens = climb(probabilities, self.blank, limits.floor, limits.least, best)
        if np.array_equal(tokens, best):
            return nodes, leaves, acoustic
        nodes, count, reached = add_text(nodes, count, tokens, None, None, None)
        if reached in leaves:  # less probable than the best by no more than rounding
            return nodes, leaves, acoustic
        score = exact_scores(log_probs, probabilities, self.blank, nodes, count, np.array([reached], np.int32))
        return nodes, np.append(leaves, np.int32(reached)), np.append(acoustic, score)

    def _best(
        self, nodes: Nodes, leaves: Numbers, acoustic: Floats, lms: Floats, bonuses: Floats, nbest: int
    ) -> list[Hypothesis]:
        """The `nbest` best of the texts that `leaves` stand for, scored with (texts,) each."""
        scores = acoustic + lms + bonuses
        chosen: dict[str, Hypothesis] = {}
        for place in np.argsort(-scores, kind="stable"):
            parts = float(acoustic[place]), float(lms[place]), float(bonuses[place])
            hypothesis = self._hypothesis(tokens_of(nodes, leaves[place]), *parts)
            chosen.setdefault(hypothesis.text, hypothesis)
            if len(chosen) == nbest:
                break
        return list(chosen.values())

    def _hypothesis(self, tokens: Numbers, acoustic: float, lm: float = 0.0, bonus: float = 0.0) -> Hypothesis:
        """What a text is to a user: (tokens,) and the parts of its score."""
        numbers = tuple(tokens.tolist())
        text = " ".join("".join([self.tokens[number] for number in numbers]).split())
        return Hypothesis(text, numbers, acoustic + lm + bonus, acoustic, lm, bonus)


def _letters(tokens: Mapping[str, int], word: str) -> list[int] | None:
    """A word's tokens where each is a character; None where one is no token."""
    return [tokens[character] for character in word] if all(character in tokens for character in word) else None
