"""Tables of recordings: CSV or TSV with a header, or two columns (audio path, text) without one."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

from asr.audio import AUDIO_SUFFIXES
from asr.errors import CorpusError

# The names that each column goes by, best first; compared without case.
COLUMNS = {
    "audio": ("audio", "path", "file", "file_name", "audio_filepath"),
    "text": ("text", "transcript", "sentence", "transcription"),
    "speaker": ("speaker", "client_id", "speaker_id"),
    "id": ("id",),
    "split": ("split",),
}


class Row(NamedTuple):
    """One row as it is written; "" where a cell or its column is missing."""

    line: int
    audio: str = ""
    text: str = ""
    speaker: str = ""
    id: str = ""
    split: str = ""


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
        places = {"audio": 0, "text": 1}
    else:
        places = _places(path, header)
        lines = lines[1:]
    return [
        Row(line, **{field: cells[place].strip() for field, place in places.items() if place < len(cells)})
        for line, cells in lines
    ]


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


def _places(path: Path, header: list[str]) -> dict[str, int]:
    """Where each known column stands in the header."""
    places = {}
    for field, names in COLUMNS.items():
        known = [name for name in names if name in header]
        if known:
            places[field] = header.index(known[0])
        elif field in ("audio", "text"):
            needed = f"{', '.join(names[:-1])} or {names[-1]}"
            raise CorpusError(f"{path}: no column for the {field} ({needed}); the first line is: {', '.join(header)}")
    return places
