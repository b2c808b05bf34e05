"""Utterances and the JSON-lines manifests that hold them, with the dataset.yaml that lies beside.

One line is one utterance: `{"id", "audio", "text", "duration", "speaker"}`, UTF-8. `audio` is relative to the
manifest's own folder, so that a prepared corpus can be moved as a whole. Unknown fields are kept.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from asr.errors import ManifestError

_KNOWN = ("id", "audio", "text", "duration", "speaker")


@dataclass(frozen=True)
class Utterance:
    """One recording and what was said in it.

    Attributes:
        id: Unique in its data set.
        audio: Path of the audio file, absolute or relative to the working folder (never to the manifest).
        text: The raw transcript; normalised only when it is used.
        duration: Seconds.
        speaker: Speaker id, or None where unknown.
        extra: The manifest's other fields, kept as they were.
    """

    id: str
    audio: str
    text: str
    duration: float
    speaker: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Dataset:
    """What dataset.yaml says: name, licence, and what the splits share on purpose."""

    name: str = ""
    license: str = ""
    attribution: str = ""
    shared: tuple[str, ...] = ()  # of "speaker", "text": declared overlaps between splits


def parse_line(line: str, folder: Path) -> Utterance:
    """One manifest line as an utterance; `folder` is the manifest's own, which relative audio paths start from.

    Raises:
        ManifestError: The line is not a JSON object with the needed fields of the right types.
    """
    try:
        record = json.loads(line)
    except ValueError as error:
        raise ManifestError(f"not JSON: {error}") from None
    if not isinstance(record, dict):
        raise ManifestError("not a JSON object")
    if "audio" not in record and "audio_filepath" in record:  # NeMo's name for it
        record["audio"] = record.pop("audio_filepath")
    if "id" not in record and isinstance(record.get("audio"), str):
        record["id"] = Path(record["audio"]).stem
    for key in ("id", "audio", "text"):
        if not isinstance(record.get(key), str):
            raise ManifestError(f'field "{key}" is missing' if key not in record else f'field "{key}" is not text')
    duration = record.get("duration")
    if isinstance(duration, bool) or not isinstance(duration, int | float) or not 0 < duration < float("inf"):
        raise ManifestError(f'field "duration" must be seconds above 0, not {json.dumps(duration)}')
    speaker = record.get("speaker")
    if speaker is not None and not isinstance(speaker, str | int):
        raise ManifestError(f'field "speaker" must be text, not {json.dumps(speaker)}')
    return Utterance(
        id=record["id"],
        audio=os.path.normpath(folder / record["audio"]),
        text=record["text"],
        duration=float(duration),
        speaker=None if speaker in (None, "") else str(speaker),
        extra={key: value for key, value in record.items() if key not in _KNOWN},
    )


def manifest_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered non-empty lines of a manifest (from 1; a byte-order mark and CRLF are tolerated).

    Raises:
        ManifestError: The file is missing or not UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ManifestError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise ManifestError(f"{path}: is a folder, not a manifest") from None
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: not UTF-8 (byte {error.start})") from None
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, line


def read_manifest(path: str | Path) -> list[Utterance]:
    """All utterances of a manifest, in its order.

    Raises:
        ManifestError: At the first bad line, named by number (`asr check` lists all of them), at a repeated id,
            or where the manifest is empty.
    """
    path = Path(path)
    utterances = []
    seen: dict[str, int] = {}
    for number, line in manifest_lines(path):
        try:
            utterance = parse_line(line, path.parent)
        except ManifestError as error:
            raise ManifestError(f"{path}:{number}: {error} (`asr check {path}` lists every problem)") from None
        if utterance.id in seen:
            raise ManifestError(f"{path}:{number}: id {utterance.id!r} stands on line {seen[utterance.id]} already")
        seen[utterance.id] = number
        utterances.append(utterance)
    if not utterances:
        raise ManifestError(f"{path}: holds no utterance")
    return utterances


def write_manifest(path: str | Path, utterances: Iterable[Utterance]) -> None:
    """Write a manifest, audio paths made relative to its folder; replaced in one step, never half-written."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".tmp")
    with aside.open("w", encoding="utf-8", newline="\n") as stream:
        for utterance in utterances:
            record: dict[str, Any] = {
                "id": utterance.id,
                "audio": Path(os.path.relpath(utterance.audio, path.parent)).as_posix(),
                "text": utterance.text,
                "duration": round(utterance.duration, 4),
            }
            if utterance.speaker is not None:
                record["speaker"] = utterance.speaker
            stream.write(json.dumps(record | utterance.extra, ensure_ascii=False) + "\n")
    aside.replace(path)


def read_dataset(folder: str | Path) -> Dataset:
    """The dataset.yaml in a folder; an empty `Dataset` where there is none.

    Raises:
        ManifestError: The file is not YAML, or a field is unknown or of the wrong kind.
    """
    path = Path(folder) / "dataset.yaml"
    if not path.exists():
        return Dataset()
    try:
        record = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8")) or {}
    except (YAMLError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(record, dict):
        raise ManifestError(f"{path}: not a mapping")
    shared = record.get("shared") or []
    if not isinstance(shared, list) or not set(shared) <= {"speaker", "text"}:
        raise ManifestError(f"{path}: shared: must be a list of speaker and text, not {shared!r}")
    names = ("name", "license", "attribution")
    return Dataset(**{key: str(record.get(key, "")) for key in names}, shared=tuple(shared))


def write_dataset(folder: str | Path, dataset: Dataset) -> None:
    """Write dataset.yaml into a folder."""
    path = Path(folder) / "dataset.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    record = {"name": dataset.name, "license": dataset.license, "attribution": dataset.attribution}
    with path.open("w", encoding="utf-8") as stream:
        YAML(typ="safe", pure=True).dump(record | {"shared": list(dataset.shared)}, stream)
