"""NeMo's manifests: JSON lines with `audio_filepath`, `text`, `duration` and, for a part of a recording, `offset`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from asr.corpora.common import OnError, stop
from asr.corpora.table import Row, end_after, other_fields, seconds, usable
from asr.data.manifest import half_character, manifest_lines, parse_object
from asr.errors import CorpusError, ManifestError

SUFFIXES = (".json", ".jsonl")


def read_nemo_manifest(path: Path, on_error: OnError = stop) -> list[Row]:
    """The utterances of a manifest, in its order.

    As in NeMo, one that has a duration ends with it, whatever more the recording holds.

    Args:
        path: The manifest.
        on_error: Called with the error of each line that is no JSON object, or whose fields are not of the right type;
            it is left out.

    Raises:
        ManifestError: The file cannot be read, or none of its lines is a JSON object.
        CorpusError: The file is empty, or has no line that can be used.
    """
    lines = list(manifest_lines(path))
    if not lines:
        raise CorpusError(f"{path}: contains no lines")
    return usable(lines, lambda line: _row(f"{path}:{line[0]}", line[1]), on_error)


def _row(place: str, line: bytes) -> Row:
    """One line as a row."""
    try:
        record = parse_object(line)
    except ManifestError as error:
        raise ManifestError(f"{place}: {error}") from None
    if half_character(json.dumps(record, ensure_ascii=False)):
        raise CorpusError(f"{place}: contains an unpaired surrogate (invalid Unicode); remove it")
    start, duration = (seconds(record.get(name), name, place) for name in ("offset", "duration"))
    return Row(
        place,
        _text(record, "audio" if "audio" in record else "audio_filepath", place),
        " ".join(_text(record, "text", place).split()),
        _text(record, "speaker", place),
        _text(record, "id", place),
        _text(record, "split", place),
        start,
        end_after(start, duration),
        other_fields(record),
    )


def _text(record: dict[str, Any], name: str, place: str) -> str:
    """A field that is text, or a number that stands for some; "" where it is missing or null."""
    value = record.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int | None):
        raise CorpusError(f'{place}: field "{name}" must be text, not {json.dumps(value):.40}')
    return "" if value is None else str(value)
