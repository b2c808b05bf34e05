"""Lexicons and hot words: the files that users write them in, and a hash that tells two lists apart."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from pathlib import Path

from asr.errors import TextError

HOT = 3.0  # what a hot word adds to a score, where its line names no boost


def words_id(words: Iterable[str] | None) -> str:
    """Hash of a lexicon's words, in whatever order and however often they stand there; "" where there is none."""
    if words is None:
        return ""
    return hashlib.sha256("\n".join(sorted(set(words))).encode()).hexdigest()[:16]


def read_words(path: str | Path) -> list[str]:
    """The words of a lexicon file, one a line; what follows a tab or space on a line (a pronunciation) is passed over.

    Raises:
        TextError: It cannot be read, or holds no word.
    """
    words = [line.split()[0] for _, line in _lines(path)]
    if not words:
        raise TextError(f"{path}: contains no words")
    return words


def read_hotwords(path: str | Path) -> dict[str, float]:
    """The phrases of a hot word file, `PHRASE` or `PHRASE<TAB>BOOST` a line; a boost is a natural logarithm.

    Raises:
        TextError: It cannot be read, or a boost is no number.
    """
    boosts: dict[str, float] = {}
    for number, line in _lines(path):
        phrase, _, said = line.partition("\t")
        try:
            boost = float(said) if said.strip() else HOT
        except ValueError:
            boost = math.nan
        if math.isnan(boost):
            raise TextError(f"{path}, line {number}: the boost must be a number, not {said.strip()!r}")
        if not phrase.strip():
            raise TextError(f"{path}, line {number}: no phrase before the tab")
        boosts[" ".join(phrase.split())] = boost
    return boosts


def _lines(path: str | Path) -> list[tuple[int, str]]:
    """The lines of a UTF-8 file that are not empty, each with its number."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise TextError(f"{path}: not UTF-8") from None
    except OSError as error:
        raise TextError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None
    return [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
