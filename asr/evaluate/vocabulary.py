"""Words that a recogniser could know, and words that it could not: how it fares with each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr.errors import LanguageModelError
from asr.score import Score
from asr.text import Normalizer


@dataclass(frozen=True)
class Vocabulary:
    """The words of a file.

    Attributes:
        file: Its path, as it was given.
        words: As normalised.
    """

    file: str
    words: frozenset[str]


def read_vocabulary(path: str | Path, normalizer: Normalizer) -> Vocabulary:
    """The words of a list, of a text, or of a manifest's transcripts, plain or gzip.

    Raises:
        LanguageModelError: It cannot be used.
        OSError: It cannot be read.
    """
    from asr.decode.sentences import read_sentences

    words = frozenset(word for words in read_sentences([path], normalizer) for word in words)
    if not words:
        raise LanguageModelError(f"{path}: contains no words")
    return Vocabulary(str(path), words)


def in_and_out(score: Score, vocabulary: Vocabulary) -> dict[str, Any]:
    """Errors on reference words inside and outside a vocabulary.

    A word is wrong if it was substituted or deleted; inserted words are of neither kind, and in no rate here.
    """
    parts = {True: [0, 0], False: [0, 0]}
    for item in score.per_utterance:
        for pair in item.alignment:
            if pair.reference is not None:
                part = parts[pair.reference in vocabulary.words]
                part[0] += 1
                part[1] += pair.reference != pair.hypothesis
    outside, inside = parts[False], parts[True]
    total = outside[0] + inside[0]
    return {
        "file": vocabulary.file,
        "size": len(vocabulary.words),
        "oov_rate": outside[0] / total if total else None,
        "outside": _part(*outside),
        "inside": _part(*inside),
    }


def _part(words: int, errors: int) -> dict[str, Any]:
    return {"words": words, "errors": errors, "rate": errors / words if words else None}
