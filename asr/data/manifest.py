"""Utterances and the JSON-lines manifests that hold them, with the dataset.yaml that lies beside.

One line is one utterance: `{"id", "audio", "text", "duration", "speaker"}`, UTF-8. `audio` is relative to the
manifest's own folder, so that a prepared corpus can be moved as a whole; it is a file, or a recording inside a tar
archive, `SHARD.tar@OFFSET+LENGTH` (see `asr.archive`). Where the folder's name goes through links, `..` is what lies
above the folder itself, as everywhere in the system. Unknown fields are kept. NeMo's manifests are read too:
`audio_filepath` is its name for `audio`, and `id` is then the audio's path without suffix.
"""

from __future__ import annotations

import codecs
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from asr.archive import size, without_ending
from asr.atomic import replacing
from asr.errors import ManifestError

_KNOWN = ("id", "audio", "text", "duration", "speaker")


@dataclass(frozen=True)
class Utterance:
    """One recording and what was said in it.

    Attributes:
        id: Unique in its data set.
        audio: Path of the audio file, or `SHARD.tar@OFFSET+LENGTH`; absolute or relative to the working folder (never
            to the manifest).
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


def parse_line(line: bytes, folder: Path, real: Path | None = None) -> Utterance:
    """One manifest line as an utterance.

    Args:
        line: The line.
        folder: The manifest's own, which relative audio paths start from.
        real: What `real_folder` says of it.

    Raises:
        ManifestError: The line is not a JSON object with the needed fields of the right types.
    """
    record = parse_record(line)
    for key in ("id", "audio", "text"):
        value = record.get(key)
        if not isinstance(value, str):
            raise ManifestError(f'field "{key}" is not text' if key in record else f'field "{key}" is missing')
        if not value and key != "text":
            raise ManifestError(f'field "{key}" is empty')
        if half_character(value):
            raise ManifestError(f'field "{key}" contains an unpaired surrogate (invalid Unicode)')
    if "duration" not in record:
        raise ManifestError('field "duration" is missing')
    if (duration := duration_of(record["duration"])) is None:
        raise ManifestError(f'field "duration" must be seconds above 0, not {json.dumps(record["duration"]):.40}')
    speaker = record.get("speaker")
    if isinstance(speaker, bool) or not isinstance(speaker, str | int | None):
        raise ManifestError(f'field "speaker" must be text, not {json.dumps(speaker):.40}')
    if record.get("offset"):
        raise ManifestError('field "offset" is not supported; cut the recording into one file per utterance')
    return Utterance(
        id=record["id"],
        audio=_located(record["audio"], folder, real),
        text=record["text"],
        duration=duration,
        speaker=None if speaker in (None, "") else str(speaker),
        extra={key: value for key, value in record.items() if key not in _KNOWN},
    )


def real_folder(folder: Path) -> Path | None:
    """Where a folder lies whose name goes through links; None where its name is where it lies."""
    real = folder.resolve()
    return None if str(real) == os.path.normpath(folder.absolute()) else real


def _located(audio: str, folder: Path, real: Path | None) -> str:
    """The path of a line's audio; by the folder's name, unless only the real folder leads there."""
    named = os.path.normpath(folder / audio)
    if real is None:
        return named
    there = os.path.normpath(real / audio)
    try:
        # Earlier versions wrote the way from the folder's name, which only reading by that name found.
        old = size(there) is None and size(named) is not None
        return named if old or os.path.realpath(named) == os.path.realpath(there) else there
    except (OSError, ValueError):  # no name that the system takes: what opens it will say so
        return named


def _relative(audio: str, folder: Path, real: Path | None) -> str:
    """The way from a folder to a file: that between their names where it leads there."""
    named = os.path.relpath(audio, folder)
    if real is not None and os.path.realpath(real / named) != os.path.realpath(audio):
        named = os.path.relpath(audio, real)
    return Path(named).as_posix()


def parse_record(line: bytes) -> dict[str, Any]:
    """A line's JSON object, with NeMo's names replaced by ours."""
    record = parse_object(line)
    if "audio" not in record and "audio_filepath" in record:
        record["audio"] = record.pop("audio_filepath")
    if "id" not in record and isinstance(record.get("audio"), str):
        record["id"] = without_ending(record["audio"]).as_posix() if record["audio"] else ""
    return record


def parse_object(line: bytes) -> dict[str, Any]:
    """A line's JSON object as it is.

    Raises:
        ManifestError: It is not one.
    """
    try:
        record = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ManifestError(f"not UTF-8 (byte {error.start + 1} of the line)") from None
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"not JSON: {error}") from None
    if not isinstance(record, dict):
        raise ManifestError("not a JSON object")
    return record


def duration_of(value: object) -> float | None:
    """A JSON value as a finite number above 0, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if 0 < float(value) < float("inf") else None
    except OverflowError:
        return None


def half_character(text: str) -> bool:
    """Whether text cannot be written as UTF-8, as from the JSON escape of half a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def manifest_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Numbered non-empty lines of a manifest (from 1; a byte-order mark and CRLF are tolerated).

    Raises:
        ManifestError: The file is missing or cannot be read.
    """
    if path.suffix.lower() in (".csv", ".tsv"):
        raise ManifestError(f"{path}: a table, not a manifest; `asr prepare own --table {path}` converts it")
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ManifestError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise ManifestError(
            f"{path}: is a folder, not a manifest; name a file in it, such as {path / 'test.jsonl'}"
        ) from None
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read: {(error.strerror or str(error)).lower()}") from None
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ManifestError(f"{path}: is UTF-16; save it as UTF-8")
    for number, line in enumerate(content.removeprefix(codecs.BOM_UTF8).split(b"\n"), start=1):
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
    real = real_folder(path.parent)
    for number, line in manifest_lines(path):
        try:
            utterance = parse_line(line, path.parent, real)
        except ManifestError as error:
            raise ManifestError(f"{path}:{number}: {error} (`asr check {path}` lists every problem)") from None
        if utterance.id in seen:
            raise ManifestError(f"{path}:{number}: duplicate id {utterance.id!r} (first on line {seen[utterance.id]})")
        seen[utterance.id] = number
        utterances.append(utterance)
    if not utterances:
        raise ManifestError(f"{path}: contains no utterances")
    return utterances


def named_splits(arguments: Iterable[str | Path]) -> dict[str, Path]:
    """Manifests given as `[name=]path`, by split name, which without `name=` is the file's: test for data/test.jsonl.

    Raises:
        ManifestError: Two of one name, or an argument that lacks its name or path.
    """
    splits: dict[str, Path] = {}
    for argument in map(str, arguments):
        name, equals, path = argument.partition("=")
        if not equals or "/" in name or Path(argument).exists():  # a path may hold an equals sign itself
            name, path = Path(argument).stem, argument
        if not name or not path:
            raise ManifestError(f"{argument!r}: write splits as name=manifest.jsonl")
        if name in splits:
            raise ManifestError(
                f"{splits[name]} and {path} are both called {name}; give one another name, as in other={path}"
            )
        splits[name] = Path(path)
    return splits


def write_manifest(path: str | Path, utterances: Iterable[Utterance]) -> None:
    """Write a manifest, audio paths made relative to its folder; replaced in one step, never half-written."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    real = real_folder(path.parent)
    with replacing(path) as aside, aside.open("w", encoding="utf-8", newline="\n") as stream:
        for utterance in utterances:
            record: dict[str, Any] = {
                "id": utterance.id,
                "audio": _relative(utterance.audio, path.parent, real),
                "text": utterance.text,
                "duration": round(utterance.duration, 4),
            }
            if utterance.speaker is not None:
                record["speaker"] = utterance.speaker
            try:
                stream.write(json.dumps(record | utterance.extra, ensure_ascii=False) + "\n")
            except UnicodeEncodeError:
                raise ManifestError(f"{utterance.audio!r}: its name or text is not UTF-8; rename it") from None


def read_dataset(folder: str | Path) -> Dataset:
    """The dataset.yaml in a folder; an empty `Dataset` where there is none.

    Raises:
        ManifestError: The file is not YAML, or what it declares as shared is not one of the known kinds.
    """
    path = Path(folder) / "dataset.yaml"
    if not path.exists():
        return Dataset()
    try:
        record = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8-sig")) or {}
    except (YAMLError, ValueError) as error:
        raise ManifestError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(record, dict):
        raise ManifestError(f"{path}: not a mapping")
    shared = record.get("shared") or []
    if not isinstance(shared, list) or not all(kind in ("speaker", "text") for kind in shared):
        raise ManifestError(f"{path}: shared: must be a list of speaker and text, not {shared!r}")
    names = ("name", "license", "attribution")
    return Dataset(**{key: str(record.get(key) or "") for key in names}, shared=tuple(shared))


def write_dataset(folder: str | Path, dataset: Dataset) -> None:
    """Write dataset.yaml into a folder."""
    path = Path(folder) / "dataset.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    record = {"name": dataset.name, "license": dataset.license, "attribution": dataset.attribution}
    with replacing(path) as aside, aside.open("w", encoding="utf-8") as stream:
        YAML(typ="safe", pure=True).dump(record | {"shared": list(dataset.shared)}, stream)
