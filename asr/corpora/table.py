"""Tables of recordings: CSV or TSV with a header, or two columns (audio path, text) without one."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asr.audio import AUDIO_SUFFIXES
from asr.corpora.common import OnError
from asr.errors import CorpusError

# The names that each column goes by, best first; compared without case.
COLUMNS = {
    "audio": ("audio", "path", "file", "file_name", "audio_filepath"),
    "text": ("text", "transcript", "sentence", "transcription"),
    "speaker": ("speaker", "client_id", "speaker_id"),
    "id": ("id",),
    "split": ("split",),
}


# Fields that the manifest has a meaning of its own for, so that no other column may become them.
_RESERVED = frozenset(name for names in COLUMNS.values() for name in names) | {"duration", "offset"}


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


def read_table(path: Path) -> list[Row]:
    """The rows of a table, in its order.

    `.csv` is separated by commas or semicolons and may quote cells; `.tsv` and `.txt` are separated by tabs and a
    quotation mark there is part of the text (as in Common Voice). A byte-order mark and CRLF are tolerated.

    Raises:
        CorpusError: The file is missing, not UTF-8, broken, empty, or lacks a column for the audio or the text.
    """
    lines = _read_cells(path)
    if not lines:
        raise CorpusError(f"{path}: holds no row")
    header = [cell.strip().lower() for cell in lines[0][1]]
    if len(header) == 2 and header[0].endswith(AUDIO_SUFFIXES):
        header = ["audio", "text"]
    else:
        lines = lines[1:]
    columns = _columns(path, header)
    return [
        _row(f"{path}:{line}", dict(zip(header, (cell.strip() for cell in cells), strict=False)), columns)
        for line, cells in lines
    ]


def _row(place: str, record: Mapping[str, str], columns: Mapping[str, str]) -> Row:
    """One row, from its cells by the header's names for them."""
    audio, text, speaker, id, split = (record.get(columns[name], "") if name in columns else "" for name in COLUMNS)
    return Row(place, audio, text, speaker, id, split, extra=other_fields(record))


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


def _read_cells(path: Path) -> list[tuple[int, list[str]]]:
    """The non-empty rows as cells, each with its line number."""
    if path.suffix.lower() not in (".csv", ".tsv", ".txt"):
        raise CorpusError(f"{path}: a table is a .csv, .tsv or .txt file")
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            if path.suffix.lower() == ".csv":
                first = stream.readline()
                stream.seek(0)
                reader = csv.reader(stream, delimiter=max(",;", key=first.count), strict=True)
            else:
                reader = csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
            return [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except OSError as error:
        raise CorpusError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None
    except UnicodeDecodeError:
        raise CorpusError(f"{path}: not UTF-8 (a spreadsheet can save it as CSV UTF-8)") from None
    except csv.Error as error:
        raise CorpusError(f"{path}:{reader.line_num}: {error}") from None


def _columns(path: Path, header: list[str]) -> dict[str, str]:
    """What each known column is called in the header."""
    columns = {}
    for column, names in COLUMNS.items():
        known = [name for name in names if name in header]
        if known:
            columns[column] = known[0]
        elif column in ("audio", "text"):
            needed = f"{', '.join(names[:-1])} or {names[-1]}"
            raise CorpusError(f"{path}: no column for the {column} ({needed}); the first line is: {', '.join(header)}")
    return columns
