"""A transcript, how words come out of aligned tokens, and the formats it is written in."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from asr.archive import without_ending
from asr.atomic import replacing
from asr.decode.hypothesis import TokenSpan
from asr.errors import AsrError

# Seconds by which a word starts before the first step of its first token. CTC writes a sound once it has recognised it,
# and says blank till then: 42 to 47 ms late in the mean (benchmarks/timestamps.py, validation), most after s and th.
ONSET_LEAD = 0.04


@dataclass(frozen=True)
class Word:
    """A recognised word.

    Attributes:
        word: As in the transcript's text.
        start: Seconds from the start of the audio.
        end: Seconds; never before `start`, never after the end of the audio.
        confidence: Probability that it is right where decoding was tuned (`asr tune`); else the geometric mean of the
            posteriors of its characters where they were heard. 0 to 1.
    """

    word: str
    start: float
    end: float
    confidence: float


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
        word before it; it ends with its last token.
    """
    words: list[Word] = []
    for separates, group in groupby(spans, key=lambda span: tokens[span.token].isspace()):
        if separates:
            continue
        parts = list(group)
        earliest = words[-1].end if words else 0.0
        words.append(
            Word(
                word="".join(tokens[span.token] for span in parts),
                start=min(max(parts[0].start * step_seconds - ONSET_LEAD, earliest), duration),
                end=min(parts[-1].end * step_seconds, duration),
                confidence=confidence(parts),
            )
        )
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


def to_text(transcript: Transcript) -> str:
    """The words and nothing else, one line."""
    return transcript.text + "\n"


def to_json(transcript: Transcript) -> str:
    """Everything, as one indented JSON object."""
    return json.dumps(transcript.to_json(), ensure_ascii=False, indent=2) + "\n"


WRITERS: dict[str, Callable[[Transcript], str]] = {"txt": to_text, "json": to_json}


def output_paths(stem: Path, formats: Iterable[str]) -> list[Path]:
    """Where a transcript is written: `stem.FORMAT` for each format; a stem may hold dots of its own."""
    return [stem.with_name(f"{stem.name}.{name}") for name in formats]


def refuse_to_replace(stems: Iterable[Path], formats: Iterable[str]) -> None:
    """Make sure that no transcript would take the place of a file.

    Raises:
        AsrError: One would; it may be what a human wrote.
    """
    formats = list(formats)
    there = [path for stem in stems for path in output_paths(stem, formats) if path.exists()]
    if there:
        more = f" (and {len(there) - 1:,} more)" if len(there) > 1 else ""
        raise AsrError(f"{there[0]}{more}: there already; --overwrite replaces it, another --out leaves it alone")


def save(transcript: Transcript, stem: Path, formats: Iterable[str]) -> None:
    """Write a transcript as `stem.FORMAT` in each of the formats; the folder is made."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    formats = list(formats)
    for name, path in zip(formats, output_paths(stem, formats), strict=True):
        with replacing(path) as aside:
            aside.write_text(WRITERS[name](transcript), encoding="utf-8", newline="\n")


def output_stems(files: Sequence[Path]) -> list[Path]:
    """Relative paths without ending for the transcripts of recordings, no two alike.

    Folders below the deepest one that holds all recordings are kept, so that a/1.wav and b/1.wav stay apart; 1.wav
    and 1.flac in one folder keep their endings, and so do all where that is not enough. Standard input is `stdin`.
    """
    absolute = [Path(os.path.normpath(Path("stdin" if str(file) == "-" else file).absolute())) for file in files]
    folder = os.path.commonpath([path.parent for path in absolute])
    names = [path.relative_to(folder) for path in absolute]
    times = Counter(map(without_ending, names))
    stems = [name if times[without_ending(name)] > 1 else without_ending(name) for name in names]
    return stems if len(set(stems)) == len(set(names)) else names  # beside both, 1.wav.mp3 would be 1.wav too
