"""Word and character error rates: aligned by jiwer, counted over all utterances together, never averaged over them.

Where the references hold no word at all there is no rate: it is None (null in a report), and the insertions are still
counted. An empty reference makes every word of its hypothesis an insertion, an empty hypothesis makes every word of
its reference a deletion; no utterance is ever left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jiwer

from asr.errors import ScoreError

Texts = Mapping[str, str] | Sequence[str | tuple[str, str]]
_NAMED = 5  # ids that an error message names


class Pair(NamedTuple):
    """A reference word and the word recognised in its place; None stands for none (an insertion, a deletion)."""

    reference: str | None
    hypothesis: str | None


@dataclass(frozen=True)
class Counts:
    """Errors of one kind of unit (words or characters); `length` is the number of units in the reference."""

    length: int = 0
    substitutions: int = 0
    insertions: int = 0
    deletions: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.length + other.length,
            self.substitutions + other.substitutions,
            self.insertions + other.insertions,
            self.deletions + other.deletions,
        )

    @property
    def errors(self) -> int:
        """Substitutions, insertions and deletions."""
        return self.substitutions + self.insertions + self.deletions

    @property
    def rate(self) -> float | None:
        """Errors per unit of the reference, as a fraction, which can be above 1; None where the reference is empty."""
        return self.errors / self.length if self.length else None

    def kaldi(self) -> str:
        """Kaldi's line: `%WER 5.95 [ 46 / 773, 3 ins, 3 del, 40 sub ]`."""
        percent = "n/a" if self.rate is None else f"{100 * self.rate:.2f}"
        return (
            f"%WER {percent} [ {self.errors} / {self.length}, "
            f"{self.insertions} ins, {self.deletions} del, {self.substitutions} sub ]"
        )


@dataclass(frozen=True)
class UtteranceScore:
    """One utterance's texts as they were compared, its word errors and the word alignment.

    Characters are aligned on first use: tuning, oracle rates and comparisons need words only, which saves two thirds
    of the time.

    Attributes:
        id: Of the utterance.
        reference: Its words after normalisation, a single space between two.
        hypothesis: The recognised words, likewise.
        words: Word errors.
        alignment: Each reference word with the word recognised in its place, in order.
    """

    id: str
    reference: str
    hypothesis: str
    words: Counts
    alignment: tuple[Pair, ...]

    @cached_property
    def characters(self) -> Counts:
        """Character errors; the single space between two words is a character."""
        return _character_counts(self.reference, self.hypothesis)

    @cached_property
    def characters_no_space(self) -> Counts:
        """Character errors with all spaces taken out of both texts before they are aligned."""
        return _character_counts(self.reference.replace(" ", ""), self.hypothesis.replace(" ", ""))

    @property
    def correct(self) -> list[bool]:
        """Whether each word of the hypothesis is right."""
        return [pair.reference == pair.hypothesis for pair in self.alignment if pair.hypothesis is not None]


@dataclass(frozen=True)
class Score:
    """Error rates of a set of utterances, as fractions, from counts pooled over the set."""

    per_utterance: tuple[UtteranceScore, ...]

    @cached_property
    def word_counts(self) -> Counts:
        """Word errors of the set."""
        return pooled(item.words for item in self.per_utterance)

    @cached_property
    def character_counts(self) -> Counts:
        """Character errors of the set, spaces counted."""
        return pooled(item.characters for item in self.per_utterance)

    @cached_property
    def character_counts_no_space(self) -> Counts:
        """Character errors of the set, spaces not counted."""
        return pooled(item.characters_no_space for item in self.per_utterance)

    @property
    def wer(self) -> float | None:
        """Word error rate; None where no reference has a word."""
        return self.word_counts.rate

    @property
    def cer(self) -> float | None:
        """Character error rate, spaces counted."""
        return self.character_counts.rate

    @property
    def cer_no_space(self) -> float | None:
        """Character error rate, spaces not counted."""
        return self.character_counts_no_space.rate

    @property
    def ser(self) -> float:
        """Sentence error rate: the share of utterances with at least one word error."""
        return sum(item.words.errors > 0 for item in self.per_utterance) / self.utterances

    @property
    def substitutions(self) -> int:
        """Words recognised as another."""
        return self.word_counts.substitutions

    @property
    def insertions(self) -> int:
        """Words recognised where the reference has none."""
        return self.word_counts.insertions

    @property
    def deletions(self) -> int:
        """Words of the reference for which none was recognised."""
        return self.word_counts.deletions

    @property
    def words(self) -> int:
        """Words of all references."""
        return self.word_counts.length

    @property
    def utterances(self) -> int:
        """Number of utterances, those with an empty reference included."""
        return len(self.per_utterance)


def score(references: Texts, hypotheses: Texts, normalizer: Callable[[str], str] | None = None) -> Score:
    """Align hypotheses with references and count the errors.

    Args:
        references: What was said: texts by id (a mapping, or pairs of id and text), or plain texts in the order of
            the hypotheses. Words are what white space separates.
        hypotheses: What was recognised, in the same form, for exactly the same ids; the order of ids is free.
        normalizer: Applied to both; None takes the texts as they are.

    Raises:
        ScoreError: An id is missing, superfluous or there twice (each is named), or there is nothing to score.
    """
    expected, recognised = _keyed(references, "references"), _keyed(hypotheses, "hypotheses")
    _match(expected, recognised)
    spoken = [_words(text, normalizer) for text in expected.values()]
    heard = [_words(recognised[key], normalizer) for key in expected]
    alignments = _align(spoken, heard)
    return Score(
        tuple(
            UtteranceScore(
                id=key,
                reference=" ".join(spoken[i]),
                hypothesis=" ".join(heard[i]),
                words=_counts(len(spoken[i]), alignments[i]),
                alignment=_pairs(spoken[i], heard[i], alignments[i]),
            )
            for i, key in enumerate(expected)
        )
    )


def pooled(counts: Iterable[Counts]) -> Counts:
    """The sum of counts: the only way in which utterances become a rate."""
    return sum(counts, Counts())


def _keyed(texts: Texts, what: str) -> dict[str, str]:
    """Texts by id; plain texts are keyed by their position, from 1."""
    if isinstance(texts, Mapping):
        return dict(texts)
    if isinstance(texts, str):
        raise ScoreError(f"{what}: must be a list of texts, not one text")
    pairs = [(str(number), item) if isinstance(item, str) else item for number, item in enumerate(texts, start=1)]
    repeated = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
    if repeated:
        raise ScoreError(f"{what}: more than one text for id {_some(repeated)}")
    return dict(pairs)


def _match(references: Mapping[str, str], hypotheses: Mapping[str, str]) -> None:
    """Refuse sets of ids that are not the same, and empty ones."""
    problems = []
    if missing := [key for key in references if key not in hypotheses]:
        problems.append(f"no hypothesis for id {_some(missing)}")
    if extra := [key for key in hypotheses if key not in references]:
        problems.append(f"no reference for id {_some(extra)}")
    if problems:
        raise ScoreError("; ".join(problems))
    if not references:
        raise ScoreError("no utterances to score")


def _some(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
    return ", ".join(keys[:_NAMED]) + more


def _words(text: str, normalizer: Callable[[str], str] | None) -> list[str]:
    return (normalizer(text) if normalizer else text).split()


def _character_counts(reference: str, hypothesis: str) -> Counts:
    (chunks,) = _align([list(reference)], [list(hypothesis)])
    return _counts(len(reference), chunks)


def _align(references: list[list[str]], hypotheses: list[list[str]]) -> list[list[Any]]:
    """Alignment of each pair of sequences by jiwer, in chunks of one kind (equal, substitute, insert, delete)."""
    # Given as lists of units and passed through as they are: jiwer's default transforms would split the text anew.
    output = jiwer.process_words(references, hypotheses, _as_is, _as_is)
    return list(output.alignments)


def _as_is(sentences: list[list[str]]) -> list[list[str]]:
    return sentences


def _counts(length: int, chunks: Iterable[Any]) -> Counts:
    """Counts of one alignment."""
    sizes = Counter[str]()
    for chunk in chunks:
        sizes[chunk.type] += max(chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx)
    return Counts(length, sizes["substitute"], sizes["insert"], sizes["delete"])


def _pairs(reference: Sequence[str], hypothesis: Sequence[str], chunks: Iterable[Any]) -> tuple[Pair, ...]:
    """One alignment as pairs of words."""
    pairs: list[Pair] = []
    for chunk in chunks:
        spoken = reference[chunk.ref_start_idx : chunk.ref_end_idx]
        heard = hypothesis[chunk.hyp_start_idx : chunk.hyp_end_idx]
        if chunk.type == "insert":
            pairs += [Pair(None, word) for word in heard]
        elif chunk.type == "delete":
            pairs += [Pair(word, None) for word in spoken]
        else:
            pairs += [Pair(*both) for both in zip(spoken, heard, strict=True)]
    return tuple(pairs)
