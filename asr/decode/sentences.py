"""Texts as the sentences that language models are made of: normalised, cut into words or characters."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from io import BufferedReader
from pathlib import Path

from asr.data.manifest import parse_line
from asr.decode.ngram_table import SPACE
from asr.errors import LanguageModelError, ManifestError
from asr.text import Normalizer

_LINES = 5_000  # between two reports of progress
_NO_TEXT = (".csv", ".tsv", ".json")  # their commas, paths and brackets would become words


def characters_of(sentence: str, space: bool = True) -> list[str]:
    """The characters of a normalised sentence, with `<space>` for the space between words, or without it."""
    return [SPACE if character == " " else character for character in sentence if space or character != " "]


def read_sentences(
    paths: Sequence[str | Path],
    normalizer: Normalizer,
    cut: Callable[[str], list[str]] = str.split,
    on_progress: Callable[[float, float], None] | None = None,
) -> Iterator[list[str]]:
    """The sentences of text files and manifests, plain or compressed by gzip; never more than a line in memory.

    Lines of which the normaliser leaves nothing are no sentences.

    Args:
        paths: UTF-8, one sentence a line; of a manifest, whose name ends with .jsonl, the transcripts. They may be
            pipes.
        normalizer: Applied to each line.
        cut: What takes a normalised sentence apart: into words, or `characters_of`.
        on_progress: Called now and then with the bytes read of all files, and their sizes' sum.

    Raises:
        LanguageModelError: A table, not UTF-8, a bad line of a manifest, or a damaged archive; the message names file
            and line.
        OSError: A file cannot be read.
    """
    for path in paths:
        if _name(path).endswith(_NO_TEXT):
            raise LanguageModelError(
                f"{path}: neither text with one sentence per line nor a .jsonl manifest; `asr prepare own --table` "
                "converts a table to manifests"
            )
    total = sum(Path(path).stat().st_size for path in paths)
    before = 0
    for path in paths:
        with Path(path).open("rb") as raw:
            for number, text in enumerate(_texts(path, raw), 1):
                if words := cut(normalizer(text)):
                    yield words
                if on_progress and number % _LINES == 0 and raw.seekable():
                    on_progress(before + raw.tell(), total)
        before += Path(path).stat().st_size
    if on_progress:
        on_progress(total, total)


def _name(path: str | Path) -> str:
    """The name of a file as its ending tells what is in it: without that of gzip, in lower case."""
    return Path(path).name.lower().removesuffix(".gz")


def _texts(path: str | Path, raw: BufferedReader) -> Iterator[str]:
    """The lines of a text file, or the transcripts of a manifest."""
    manifest = _name(path).endswith(".jsonl")
    for number, line in enumerate(_lines(path, raw), 1):
        try:
            if not manifest:
                yield line
            elif line.strip():
                yield parse_line(line.encode(), Path(path).parent).text
        except ManifestError as error:
            raise LanguageModelError(f"{path}:{number}: {error}") from None


def _lines(path: str | Path, raw: BufferedReader) -> Iterator[str]:
    packed = raw.peek(2)[:2] == b"\x1f\x8b"  # a pipe cannot be read from its beginning again
    number = 0
    try:
        for number, line in enumerate(gzip.GzipFile(fileobj=raw) if packed else iter(raw.readline, b""), 1):
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError:
        raise LanguageModelError(f"{path}:{number}: not UTF-8; convert the file first") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise LanguageModelError(f"{path}:{number}: truncated or damaged after this line: {error}") from None
