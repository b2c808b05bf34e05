r"""ARPA files: the text form of back-off n-gram models that every toolkit reads and writes.

    \data\
    ngram 1=4
    ngram 2=2

    \1-grams:
    -1.2    the    -0.3       log10 of the probability, the words, log10 of the back-off weight (0 if it is left out)
    ...
    \2-grams:
    -0.4    the cat
    \end\

Read: KenLM's, SRILM's and our own files, plain or compressed by gzip, with tabs or spaces, with any text before
\data\ and any after \end\.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NoReturn

import numpy as np
import numpy.typing as npt

from asr.atomic import replacing
from asr.decode.ngram_table import BEGIN, END, UNKNOWN, NgramLevel, NgramTable, find
from asr.errors import LanguageModelError

Rows = list[list[bytes]]
Values = npt.NDArray[np.float64]
Keys = npt.NDArray[np.int64]

_LN10 = float(np.log(10))
_BLOCK = 500  # lines parsed at once; with more, the garbage collector takes longer than all the rest
_COUNT = re.compile(rb"ngram\s+(\d+)\s*=\s*(\d+)$")
_ROUNDING = 1e-6  # how far above 0 an estimator's log-probability may stray by rounding
_LOG_ZERO = -99.0  # how the format writes a probability of 0
_NO_UNKNOWN = -100.0  # log10 of the probability of <unk> in a model without one, as in KenLM


def read_arpa(path: str | Path) -> NgramTable:
    """Read an ARPA file.

    `<UNK>` is read as `<unk>`; a model without one gets one of probability 10⁻¹⁰⁰, as KenLM does.

    Raises:
        LanguageModelError: Not a complete and consistent ARPA file; the message names file and line.
        OSError: It cannot be read.
    """
    with _opened(path) as file:
        return _Reader(path, file).read()


def write_arpa(path: str | Path, table: NgramTable) -> None:
    """Write an ARPA file in one step, compressed if the name ends with .gz. Nine digits keep every float32 as it is.

    Raises:
        LanguageModelError: A word that an ARPA file cannot hold.
        OSError: It cannot be written.
    """
    if strange := [word for word in table.words if word.encode().split() != [word.encode()]]:
        raise LanguageModelError(f"{path}: a word with white space in it cannot be written: {strange[0]!r}")
    with replacing(path) as aside, aside.open("wb") as file:
        if not Path(path).name.endswith(".gz"):
            file.writelines(_lines(table))
            return
        with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:  # without a name and date: the same bytes
            packed.writelines(_lines(table))


def _lines(table: NgramTable) -> Iterator[bytes]:
    yield b"\\data\\\n"
    for order, level in enumerate(table.levels, 1):
        yield b"ngram %d=%d\n" % (order, len(level))
    for order, (level, texts) in enumerate(zip(table.levels, table.texts(), strict=True), 1):
        yield b"\n\\%d-grams:\n" % order
        log_probs, backoffs = (_log10(values) for values in (level.log_prob, level.backoff))
        if order == table.order:
            yield from (f"{p:.9g}\t{text}\n".encode() for p, text in zip(log_probs, texts, strict=True))
        else:
            rows = zip(log_probs, texts, backoffs, strict=True)
            yield from (f"{p:.9g}\t{text}\t{backoff:.9g}\n".encode() for p, text, backoff in rows)
    yield b"\n\\end\\\n"


def _log10(values: npt.NDArray[np.float32]) -> list[float]:
    return list((values.astype(np.float64) / _LN10 + 0.0).tolist())  # + 0.0: never -0


@contextmanager
def _opened(path: str | Path) -> Iterator[BinaryIO]:
    """A file to read, unpacked if it is compressed."""
    with Path(path).open("rb") as raw:
        if raw.peek(2)[:2] != b"\x1f\x8b":
            yield raw
            return
        try:
            with gzip.GzipFile(fileobj=raw) as file:
                yield file  # type: ignore[misc]
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise LanguageModelError(f"{path}: truncated or damaged: {error}") from None


class _Reader:
    """One pass over an ARPA file."""

    def __init__(self, path: str | Path, file: BinaryIO) -> None:
        self.path = path
        self.file = file
        self.line = 0  # number of the last line read
        self.held: bytes | None = None  # a line to be read again
        self.words: list[str] = []
        self.ids: dict[bytes, int] = {}  # number of each word as the file writes it
        self.keys: list[Keys] = []  # of each order: parent * vocabulary + word, sorted

    def read(self) -> NgramTable:
        counts = self._header()
        levels = []
        for order, count in enumerate(counts, 1):
            self._expect(f"\\{order}-grams:")
            levels.append(self._words(count) if order == 1 else self._level(order, count))
        if levels[-1].backoff.any():
            self._fail(f"{len(counts)}-grams are the longest and cannot have back-off weights")
        self._expect("\\end\\")
        return NgramTable(tuple(self.words), tuple(levels))

    def _header(self) -> list[int]:
        """N-grams of each order."""
        for line in self.file:
            self.line += 1
            if line.removeprefix(b"\xef\xbb\xbf").strip() == b"\\data\\":
                break
            if line.startswith(b"mmap lm http"):
                raise LanguageModelError(f"{self.path}: a KenLM binary file; use the ARPA file that it was made from")
        else:
            raise LanguageModelError(f"{self.path}: not an ARPA file in UTF-8: it has no line \\data\\")
        counts: list[int] = []
        while match := _COUNT.match(line := self._next()):
            if int(match[1]) != len(counts) + 1:
                self._fail(f"expected the number of {len(counts) + 1}-grams, not of {int(match[1])}-grams")
            counts.append(int(match[2]))
        if not counts:
            self._fail(f"expected a line like 'ngram 1=1234' after \\data\\, not {_shown(line)}")
        self.held = line
        return counts

    def _words(self, count: int) -> NgramLevel:
        """The vocabulary and its probabilities."""
        log_probs, backoffs = [], []
        for rows, log_prob, backoff in self._blocks(1, count):
            for place, (_, word, *_) in enumerate(rows):
                if self.ids.setdefault(word, len(self.words)) != len(self.words):
                    self._fail(f"duplicate word {_shown(word)}", len(rows) - place)
                try:
                    self.words.append(word.decode())
                except UnicodeDecodeError:
                    self._fail(f"not UTF-8: {word!r}; convert the file first", len(rows) - place)
            log_probs.append(log_prob)
            backoffs.append(backoff)
        self._name_unknown()
        missing = len(self.words) - count  # 1 where <unk> was added
        return NgramLevel(
            np.zeros(len(self.words), dtype=np.int32),
            np.arange(len(self.words), dtype=np.int32),
            _natural([*log_probs, np.full(missing, _NO_UNKNOWN)]),
            _natural([*backoffs, np.zeros(missing)]),
        )

    def _name_unknown(self) -> None:
        """Give the unknown word its name, and a number where the file has none; insist on both ends of a sentence."""
        for marker in (BEGIN, END):
            if marker.encode() not in self.ids:
                self._fail(f"the word {marker} is missing from the 1-grams")
        number = self.ids.get(UNKNOWN.upper().encode(), len(self.words))
        if UNKNOWN.encode() not in self.ids:
            self.ids[UNKNOWN.encode()] = number
            self.words[number : number + 1] = [UNKNOWN]
        self.keys.append(np.arange(len(self.words), dtype=np.int64))

    def _level(self, order: int, count: int) -> NgramLevel:
        """All n-grams of an order above the first, sorted."""
        begin = self.line + 1  # the line of the first n-gram
        keys, log_probs, backoffs = [], [], []
        for rows, log_prob, backoff in self._blocks(order, count):
            keys.append(self._keys(order, rows))
            log_probs.append(log_prob)
            backoffs.append(backoff)
        key = np.concatenate([np.empty(0, dtype=np.int64), *keys])
        ranks = np.argsort(key, kind="stable")
        key = key[ranks]
        if len(twice := np.flatnonzero(key[1:] == key[:-1])):
            self.line = begin + int(ranks[1:][twice].min())
            self._fail(f"duplicate {order}-gram")
        self.keys.append(key)
        parent, word = np.divmod(key, len(self.words))
        values = (_natural(parts)[ranks] for parts in (log_probs, backoffs))
        return NgramLevel(parent.astype(np.int32), word.astype(np.int32), *values)

    def _keys(self, order: int, rows: Rows) -> Keys:
        """(rows,) key of each n-gram: the index of its history in the order below, times the vocabulary, plus its word.

        The index of a history is found word by word, through the keys of the orders below.
        """
        flat = [word for row in rows for word in row[1 : order + 1]]
        try:
            numbers = np.fromiter(map(self.ids.__getitem__, flat), dtype=np.int64, count=len(flat))
        except KeyError as error:
            place = flat.index(error.args[0]) // order
            self._fail(f"the word {_shown(error.args[0])} is not among the 1-grams", len(rows) - place)
        columns = numbers.reshape(-1, order).T
        parent = columns[0]
        for known, column in zip(self.keys[1:], columns[1:-1], strict=True):
            parent = find(known, parent * len(self.words) + column)
            if parent.min(initial=0) < 0:
                place = int(parent.argmin())
                history = b" ".join(rows[place][1:order])
                self._fail(f"its history {_shown(history)} is not among the {order - 1}-grams", len(rows) - place)
        keys: Keys = parent * len(self.words) + columns[-1]
        return keys

    def _blocks(self, order: int, count: int) -> Iterator[tuple[Rows, Values, Values]]:
        """The n-grams of an order, many at a time: the fields of their lines, log-probabilities, back-offs, in log10.

        The last line of a block is the current one then.
        """
        for done in range(0, count, _BLOCK):
            wanted = min(_BLOCK, count - done)
            rows = [line.split() for line in islice(self.file, wanted)]
            if len(rows) < wanted or not set(map(len, rows)) <= {order + 1, order + 2}:
                place = next((place for place, row in enumerate(rows) if len(row) - order not in (1, 2)), len(rows))
                self.line += place + 1
                row = rows[place] if place < len(rows) else []
                if not row or row[0].startswith(b"\\"):
                    self._fail(f"only {done + place:,} {order}-grams, but the header says {count:,}")
                self._fail(f"not a log-probability, {order} word(s) and a back-off weight: {_shown(b' '.join(row))}")
            self.line += len(rows)
            log_probs = self._numbers(rows, [row[0] for row in rows])
            backoffs = self._numbers(rows, [row[order + 1] if len(row) > order + 1 else b"0" for row in rows])
            self._check(rows, log_probs > _ROUNDING, "a positive log-probability")
            self._check(rows, np.isnan(log_probs) | ~np.isfinite(backoffs), "a number that is not finite")
            log_probs[np.isneginf(log_probs)] = _LOG_ZERO
            yield rows, np.minimum(log_probs, 0), backoffs

    def _numbers(self, rows: Rows, fields: Sequence[bytes]) -> Values:
        try:
            return np.fromiter(map(float, fields), dtype=np.float64, count=len(fields))
        except ValueError:
            for place, field in enumerate(fields):
                try:
                    float(field)
                except ValueError:
                    self._fail(f"{_shown(field)} is not a number", len(rows) - place)
            raise

    def _check(self, rows: Rows, bad: npt.NDArray[np.bool_], complaint: str) -> None:
        if bad.any():
            place = int(bad.argmax())
            self._fail(f"{complaint}: {_shown(b' '.join(rows[place]))}", len(rows) - place)

    def _next(self) -> bytes:
        """The next line that is not blank, without space around it; empty at the end of the file."""
        if self.held is not None:
            line, self.held = self.held, None
            return line
        for line in self.file:
            self.line += 1
            if line.strip():
                return line.strip()
        return b""

    def _expect(self, expected: str) -> None:
        line = self._next()
        if line == expected.encode():
            return
        if not line:
            self._fail(f"the file ends where {expected} was expected: it is truncated")
        hint = "; are there more n-grams than the header says?" if not line.startswith(b"\\") else ""
        self._fail(f"expected {expected}, not {_shown(line)}{hint}")

    def _fail(self, complaint: str, back: int = 1) -> NoReturn:
        """Refuse the file because of the current line, or of one `back` - 1 before it."""
        raise LanguageModelError(f"{self.path}:{self.line - back + 1}: {complaint}")


def _natural(parts: Sequence[Values]) -> npt.NDArray[np.float32]:
    """Blocks of logarithms to base 10, as natural ones."""
    return (np.concatenate([np.empty(0), *parts]) * _LN10).astype(np.float32)


def _shown(text: bytes) -> str:
    """Bytes of a file for a message."""
    return repr(text.decode(errors="replace"))[:80]
