"""Tables of recordings: CSV or TSV with a header, or two columns (audio path, text) without one."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mode
from typing import Any, TypeVar

from asr.audio import AUDIO_SUFFIXES
from asr.corpora.common import OnError, few, stop
from asr.errors import AsrError, CorpusError

# The names that each column goes by, best first; compared without case.
COLUMNS = {
    "audio": ("audio", "path", "file", "file_name", "audio_filepath"),
    "text": ("text", "transcript", "sentence", "transcription"),
    "speaker": ("speaker", "client_id", "speaker_id"),
    "id": ("id",),
    "split": ("split",),
}
# Columns by which a row may be a stretch of its recording, in seconds.
_BY_OFFSET = ("offset", "duration")
_BY_END = ("start", "end")

# Fields that the manifest has a meaning of its own for, so that no other column may become them.
_RESERVED = frozenset(name for names in COLUMNS.values() for name in names) | {"duration", "offset"}

_SEPARATORS = {
    ",": "a comma in the text not quoted",
    ";": "a semicolon in the text not quoted",
    "\t": "there a tab in the text",
}

Line = TypeVar("Line")


@dataclass(frozen=True)
class Row:
    """One row as it is written; "" where a cell or its column is missing.

    Attributes:
        place: Where it stands, as `table.csv:12`, for messages.
        audio: Path of the recording.
        start: Where in the recording the utterance begins, in seconds; None where no list says so.
        end: Where it ends; None: with the recording.
        extra: Other columns, for the manifest, that are not empty.
    """

    place: str
    audio: str = ""
    text: str = ""
    speaker: str = ""
    id: str = ""
    split: str = ""
    start: float | None = None
    end: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


def read_table(path: Path, on_error: OnError = stop) -> list[Row]:
    """The rows of a table, in its order.

    `.csv` is separated by commas or semicolons and may quote cells; `.tsv` and `.txt` are separated by tabs and a
    quotation mark there is part of the text (as in Common Voice). A byte-order mark and CRLF are tolerated. The columns
    offset and duration (as NeMo has them), or start and end, make of a row a stretch of its recording.

    Args:
        path: The table.
        on_error: Called with the error of each row that has more cells than the table columns, or a time that is none;
            it is left out.

    Raises:
        CorpusError: The file is missing, not UTF-8, broken, empty, or has no row that can be used; or it lacks a column
            for the audio or the text, or has one twice, or a half of what says which stretch.
    """
    lines, separator = _read_cells(path)
    if not lines:
        raise CorpusError(f"{path}: contains no rows")
    header = [cell.lower() for cell in lines[0][1]]
    if header[0].endswith(AUDIO_SUFFIXES) and 2 in (len(header), mode(len(cells) for _, cells in lines)):
        header, whose = ["audio", "text"], "a table without a header"
    else:
        lines, whose = lines[1:], "the header"
    columns, times = _columns(path, header), _times(path, header)

    def row(line: tuple[int, list[str]]) -> Row:
        place, cells = f"{path}:{line[0]}", line[1]
        if len(cells) > len(header):
            doubt = _SEPARATORS[separator]
            raise CorpusError(f"{place}: {len(cells)} columns, but {whose} has {len(header)}; is {doubt}?")
        return _row(place, dict(zip(header, cells, strict=False)), columns, times)

    return usable(lines, row, on_error)


def usable(lines: Iterable[Line], row: Callable[[Line], Row], on_error: OnError) -> list[Row]:
    """The rows that lines of a list are; `on_error` gets the errors of those that are none.

    Raises:
        AsrError: The first of them, where there is no row at all: then it is not that kind of list.
    """
    rows: list[Row] = []
    errors: list[AsrError] = []
    for line in lines:
        try:
            rows.append(row(line))
        except AsrError as error:
            errors.append(error)
    if errors and not rows:
        raise errors[0]
    for wrong in errors:
        on_error(wrong)
    return rows


def _row(place: str, record: Mapping[str, str], columns: Mapping[str, str], times: Sequence[str]) -> Row:
    """One row, from its cells by the header's names for them."""
    audio, text, speaker, id, split = (record.get(columns[name], "") if name in columns else "" for name in COLUMNS)
    others = other_fields({name: cell for name, cell in record.items() if name not in times})
    start, end = _stretch(place, record, times)
    return Row(place, audio, text, speaker, id, split, start, end, others)


def _stretch(place: str, record: Mapping[str, str], times: Sequence[str]) -> tuple[float | None, float | None]:
    """Where the stretch begins and ends that a row is, as its cells say."""
    first, second = (_time(record.get(name, ""), name, place) for name in times) if times else (None, None)
    if "offset" in times:
        return first, end_after(first, second)
    if (first is None) != (second is None):
        raise CorpusError(f"{place}: has {'an end but no start' if first is None else 'a start but no end'}")
    return first, second


def _time(cell: str, name: str, place: str) -> float | None:
    """A cell that is seconds; None where it is empty."""
    if re.fullmatch(r"\d*,\d+", cell):  # 1,234 is a second or a thousand, by who writes it
        raise CorpusError(f'{place}: field "{name}" must be seconds with a decimal point, not "{cell}"')
    try:
        return seconds(float(cell) if cell else None, name, place)
    except ValueError:
        return seconds(cell, name, place)


def end_after(start: float | None, duration: float | None) -> float | None:
    """Where a stretch ends of which its duration is known; None, with its recording, where it is not, as in NeMo."""
    return None if duration is None else (start or 0.0) + duration


def seconds(value: object, name: str, place: str) -> float | None:
    """A field that is seconds; None where it is missing or null.

    Raises:
        CorpusError: It is something else.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= sys.float_info.max:
        raise CorpusError(f'{place}: field "{name}" must be seconds, not {json.dumps(value):.40}')
    return float(value)


def _filled(cells: Iterable[str]) -> list[str]:
    """Cells without the space around them, and without empty ones at the end, as spreadsheets add them."""
    stripped = [cell.strip() for cell in cells]
    while stripped and not stripped[-1]:
        stripped.pop()
    return stripped


def other_fields(record: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are kept in the manifest as they are: those that mean nothing here, and are not empty."""
    return {name: value for name, value in record.items() if name and name not in _RESERVED and value not in ("", None)}


def complete(rows: Iterable[Row], on_error: OnError) -> Iterator[Row]:
    """The rows that have both an audio path and a text; `on_error` gets the others."""
    for row in rows:
        if row.audio and row.text:
            yield row
        else:
            on_error(CorpusError(f"{row.place}: no {'text' if row.audio else 'audio path'}"))


def _read_cells(path: Path) -> tuple[list[tuple[int, list[str]]], str]:
    """The non-empty rows as cells, each with its line number; and what separates them."""
    if path.suffix.lower() not in (".csv", ".tsv", ".txt"):
        raise CorpusError(f"{path}: a table must be a .csv, .tsv or .txt file")
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            if path.suffix.lower() == ".csv":
                first = stream.readline()
                stream.seek(0)
                separator = max(",;", key=first.count)
                reader = csv.reader(stream, delimiter=separator, strict=True)
            else:
                separator = "\t"
                reader = csv.reader(stream, delimiter=separator, quoting=csv.QUOTE_NONE)
            return [(reader.line_num, cells) for cells in map(_filled, reader) if cells], separator
    except OSError as error:
        raise CorpusError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None
    except UnicodeDecodeError:
        raise CorpusError(f"{path}: not UTF-8 (a spreadsheet can save it as CSV UTF-8)") from None
    except csv.Error as error:
        raise CorpusError(f"{path}:{reader.line_num}: {error}") from None


def _columns(path: Path, header: list[str]) -> dict[str, str]:
    """What each known column is called in the header."""
    if repeated := [name for name, count in Counter(header).items() if name and count > 1]:
        raise CorpusError(f"{path}: column {few(repeated)} appears twice in the header; rename or remove one")
    columns = {}
    for column, names in COLUMNS.items():
        known = [name for name in names if name in header]
        if known:
            columns[column] = known[0]
        elif column in ("audio", "text"):
            needed = f"{', '.join(names[:-1])} or {names[-1]}"
            raise CorpusError(f"{path}: no column for the {column} ({needed}); the first line is: {', '.join(header)}")
    return columns


def _times(path: Path, header: list[str]) -> Sequence[str]:
    """The two columns by which rows are stretches of their recordings; none where there are none.

    A duration by itself says nothing: many tables have one, and what a recording lasts is measured.

    Raises:
        CorpusError: Of what says which stretch is meant there is a half, or more than one whole.
    """
    present = {name for name in (*_BY_OFFSET, *_BY_END) if name in header}
    if present <= {"duration"}:
        return ()
    if {"offset"} <= present <= {*_BY_OFFSET}:
        return _BY_OFFSET
    if {*_BY_END} <= present <= {*_BY_END, "duration"}:
        return _BY_END
    raise CorpusError(
        f"{path}: columns {', '.join(name for name in header if name in present)}: give segment times as "
        "offset and duration, or start and end, in seconds; rename columns that mean something else"
    )
