"""A transcript, and how words come out of aligned tokens."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from asr.decode.hypothesis import TokenSpan

# Seconds by which a word starts before the first step of its first token. CTC writes a sound once it has recognised it,
# and says blank till then: 42 to 47 ms late in the mean (benchmarks/timestamps.py, validation), most after s and th.
ONSET_LEAD = 0.04


@dataclass(frozen=True, slots=True)
class Part:
    """A letter of a word, or a piece of one, as the model's units are; start and end in seconds, as of a word."""

    text: str
    start: float
    end: float


@dataclass(frozen=True)
class Word:
    """A recognised word; in a script without spaces, a whole text.

    Attributes:
        word: As in the transcript's text.
        start: Seconds from the start of the audio.
        end: Seconds; never before `start`, never after the end of the audio.
        confidence: Probability that it is right where decoding was tuned (`asr tune`); else the geometric mean of the
            posteriors of its characters where they were heard. 0 to 1.
        parts: In order; joined they are `word`. No format writes them: captions break there what is too long for one.
    """

    word: str
    start: float
    end: float
    confidence: float
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True)
class Alternative:
    """One of the n best readings; `score` is a natural logarithm."""

    text: str
    score: float


@dataclass(frozen=True)
class Transcript:
    """What was said in one recording.

    Attributes:
        audio: Path of the recording, "-" for standard input, None where it came as bytes or samples.
        duration: Seconds.
        text: The best reading; "" where nothing was said.
        confidence: Geometric mean over the words, 0 to 1; None where there is none.
        words: In speaking order; joined by spaces they are `text`.
        nbest: Best first.
    """

    audio: str | None
    duration: float
    text: str
    confidence: float | None
    words: tuple[Word, ...]
    nbest: tuple[Alternative, ...]

    def to_json(self) -> dict[str, Any]:
        """The fields of `--format json`; times to a millisecond."""
        return {
            "audio": self.audio and self.audio.encode(errors="replace").decode(),  # a file's name may be no UTF-8
            "duration": round(self.duration, 3),
            "text": self.text,
            "confidence": None if self.confidence is None else round(self.confidence, 4),
            "words": [
                {
                    "word": word.word,
                    "start": round(word.start, 3),
                    "end": round(word.end, 3),
                    "confidence": round(word.confidence, 4),
                }
                for word in self.words
            ],
            "nbest": [{"text": other.text, "score": round(other.score, 4)} for other in self.nbest],
        }


def words_from(
    spans: Sequence[TokenSpan], tokens: Sequence[str], step_seconds: float, duration: float
) -> tuple[Word, ...]:
    """Words with their times, from the tokens of a text and the steps that they stand on.

    Args:
        spans: One a token, in speaking order. Tokens of white space separate words; without any there is one word.
        tokens: Token strings by number.
        step_seconds: Step i covers the seconds [i, i + 1) x step_seconds.
        duration: Of the audio, in seconds. The last step may reach beyond it; no time does.

    Returns:
        In order and without overlap. A word starts `ONSET_LEAD` before its first token, but not before the end of the
        word before it; it ends with its last token. So does each of its parts, of one token.
    """
    words: list[Word] = []
    for separates, group in groupby(spans, key=lambda span: tokens[span.token].isspace()):
        if separates:
            continue
        inside = list(group)
        parts: list[Part] = []
        at = words[-1].end if words else 0.0
        for span in inside:
            start = min(max(span.start * step_seconds - ONSET_LEAD, at), duration)
            at = min(span.end * step_seconds, duration)
            parts.append(Part(tokens[span.token], start, at))
        word = "".join(part.text for part in parts)
        words.append(Word(word, parts[0].start, at, confidence(inside), tuple(parts)))
    return tuple(words)


def confidence(spans: Iterable[TokenSpan]) -> float:
    """Geometric mean of the posteriors of tokens, each itself the geometric mean over its steps."""
    scores = [span.score for span in spans]
    return min(1.0, math.exp(sum(scores) / len(scores)))


def overall_confidence(words: Sequence[Word]) -> float | None:
    """Geometric mean of the words' confidences; None where there is no word."""
    if not words:
        return None
    return math.exp(sum(math.log(max(word.confidence, 1e-12)) for word in words) / len(words))
