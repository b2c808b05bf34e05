"""NeMo's manifests: JSON lines with `audio_filepath`, `text`, `duration` and, for a part of a recording, `offset`."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from asr.corpora.table import Row, other_fields
from asr.data.manifest import manifest_lines, parse_object
from asr.errors import CorpusError, ManifestError

SUFFIXES = (".json", ".jsonl")


def read_nemo_manifest(path: Path) -> list[Row]:
    """The utterances of a manifest, in its order.

    As in NeMo, one that has a duration ends with it, whatever more the recording holds.

    Raises:
        ManifestError: The file cannot be read, or a line is no JSON object.
        CorpusError: The file is empty, or a line's fields are not of the right type.
    """
    rows = [_row(f"{path}:{number}", line) for number, line in manifest_lines(path)]
    if not rows:
        raise CorpusError(f"{path}: holds no line")
    return rows


def _row(place: str, line: bytes) -> Row:
    """One line as a row."""
    try:
        record = parse_object(line)
    except ManifestError as error:
        raise ManifestError(f"{place}: {error}") from None
    start, duration = (_seconds(record, name, place) for name in ("offset", "duration"))
    return Row(
        place,
        _text(record, "audio" if "audio" in record else "audio_filepath", place),
        " ".join(_text(record, "text", place).split()),
        _text(record, "speaker", place),
        _text(record, "id", place),
        _text(record, "split", place),
        start,
        None if duration is None else (start or 0.0) + duration,
        other_fields(record),
    )


def _text(record: dict[str, Any], name: str, place: str) -> str:
    """A field that is text, or a number that stands for some; "" where it is missing or null."""
    value = record.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int | None):
        raise CorpusError(f'{place}: field "{name}" must be text, not {json.dumps(value):.40}')
    return "" if value is None else str(value)


def _seconds(record: dict[str, Any], name: str, place: str) -> float | None:
    """A field that is seconds; None where it is missing or null."""
    value = record.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise CorpusError(f'{place}: field "{name}" must be seconds, not {json.dumps(value):.40}')
    return float(value)
