"""What a folder or a list says there is to prepare: recordings, their texts, and where that stands."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asr.archive import size, without_ending
from asr.audio import files_below, find_audio
from asr.corpora import kaldi, nemo
from asr.corpora.common import SPLITS, OnError, few, read_text
from asr.corpora.table import Row, complete, read_table
from asr.data.manifest import half_character
from asr.errors import CorpusError

_SPLIT_NAMES = {"training": "train", "dev": "valid", "val": "valid", "validation": "valid"}

Table = str | Path | Mapping[str, str | Path]


@dataclass(frozen=True)
class Recording:
    """A recording of the source, or a stretch of one.

    Attributes:
        split: "" unless a list says it.
        place: Where a list names it, as `table.csv:12`; "" without one.
        start: Where the stretch begins, in seconds.
        end: Where it ends; None: with the recording.
        extra: Fields for the manifest besides those that every utterance has.
    """

    id: str
    audio: Path
    text: str
    speaker: str | None
    split: str = ""
    place: str = ""
    start: float = 0.0
    end: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


def tables_by_split(arguments: Sequence[str]) -> Mapping[str, Path]:
    """Lists given as `[SPLIT=]PATH`, by the split that each of them is; "" where a single one is named without.

    Raises:
        CorpusError: A split's name is unknown or occurs twice, or only some of several lists have one.
    """
    tables: dict[str, Path] = {}
    for argument in arguments:
        name, equals, path = argument.partition("=")
        if not equals or "/" in name or Path(argument).exists():  # a path may hold an equals sign itself
            name, path = "", argument
        split = _SPLIT_NAMES.get(name.lower(), name.lower())
        if name and split not in SPLITS:
            raise CorpusError(f"{argument}: split must be train, valid or test, not {name}")
        if split in tables:
            raise CorpusError(
                f"{tables[split]} and {path}: with several lists, name the split of each, as in train={path}"
            )
        tables[split] = Path(path)
    if "" in tables and len(tables) > 1:
        raise CorpusError(f"{tables['']}: with several lists, name the split of each, as in train={tables['']}")
    return tables


def from_folder(folder: Path, on_error: OnError) -> list[Recording]:
    """The audio files of a folder, each with the text of the .txt file beside it."""
    texts = {path.with_suffix(""): path for path in files_below(folder) if path.suffix.lower() == ".txt"}
    audio = find_audio([folder])
    if not any(path.with_suffix("") in texts for path in audio):
        raise CorpusError(
            f"{folder}: none of its {len(audio):,} recordings has a .txt file next to it (or use --table)"
        )
    found = []
    for path in audio:
        try:
            found.append(Recording(_readable_id(path, folder), path, _text_beside(path, texts), None))
        except CorpusError as error:
            on_error(error)
    for stem in sorted(texts.keys() - {path.with_suffix("") for path in audio}):
        on_error(CorpusError(f"{texts[stem]}: no audio file next to it"))
    return found


def _readable_id(audio: Path, folder: Path) -> str:
    """The id of a recording; a name that is no UTF-8 could not stand in a manifest."""
    id = default_id(audio, folder)
    if half_character(id):
        raise CorpusError(f"{str(audio)!r}: its name is not UTF-8; rename it")
    return id


def _text_beside(audio: Path, texts: Mapping[Path, Path]) -> str:
    """The text of a recording, from the file of its stem."""
    path = texts.get(audio.with_suffix(""))
    if path is None:
        raise CorpusError(f"{audio}: no .txt file next to it")
    text = " ".join(read_text(path).split())
    if not text:
        raise CorpusError(f"{path}: contains no text")
    return text


def from_tables(folder: Path, tables: Table, on_error: OnError) -> list[Recording]:
    """What the lists name, each of them a split where it has a name."""
    if not isinstance(tables, Mapping):
        tables = {"": tables}
    found = []
    for split, path in tables.items():
        for row in complete(_rows(Path(path), on_error), on_error):
            audio = folder / row.audio
            found.append(
                Recording(
                    row.id or default_id(audio, folder, row.start, row.end),
                    _as_on_disk(audio),
                    row.text,
                    row.speaker or None,
                    split or row.split,
                    row.place,
                    row.start or 0.0,
                    row.end,
                    row.extra,
                )
            )
    if found and not any(size(one.audio) is not None for one in found):
        listed = " and ".join(str(path) for path in tables.values())
        raise CorpusError(
            f"{listed}: none of its recordings exists: {found[0].audio}, ... (paths are relative to --source)"
        )
    return found


def _as_on_disk(path: Path) -> Path:
    """A file by the name that it has: a Mac may write é as e and an accent, where the list has one character."""
    if not path.exists():
        for form in ("NFC", "NFD"):
            other = Path(unicodedata.normalize(form, str(path)))
            if other.exists():
                return other
    return path


def _rows(path: Path, on_error: OnError) -> list[Row]:
    """The rows of a list of any kind."""
    if path.is_dir():
        if not kaldi.is_data_folder(path):
            raise CorpusError(f"{path}: not a Kaldi data folder, which contains wav.scp and text")
        return kaldi.read_data_folder(path)
    read = nemo.read_nemo_manifest if path.suffix.lower() in nemo.SUFFIXES else read_table
    return read(path, on_error)


def default_id(audio: Path, folder: Path, start: float | None = None, end: float | None = None) -> str:
    """The path below the source folder without its suffix: unique, and the same wherever the folder lies.

    A stretch, from `start` to `end` in seconds, has these in milliseconds behind that.
    """
    name = without_ending(audio.relative_to(folder) if audio.is_relative_to(folder) else audio).as_posix()
    if start is None:
        return name
    return f"{name}-{round(1000 * start):08d}" + (f"-{round(1000 * end):08d}" if end is not None else "")


def unique(recordings: Sequence[Recording], on_error: OnError) -> list[Recording]:
    """Those whose id and audio did not occur before; only a list can name a recording twice."""
    ids: dict[str, Recording] = {}
    sounds: dict[tuple[Path, float, float | None], Recording] = {}
    for one in recordings:
        place, sound = one.place or one.audio, (one.audio, one.start, one.end)
        if first := sounds.get(sound):
            on_error(CorpusError(f"{place}: same recording as {first.place}"))
        elif first := ids.get(one.id):
            on_error(CorpusError(f"{place}: duplicate id {one.id} (first in {first.place or first.audio})"))
        else:
            ids[one.id] = sounds[sound] = one
    return list(ids.values())


def given_splits(recordings: Sequence[Recording]) -> dict[str, str]:
    """The split of each id as a table's split column says it."""
    owner = {one.id: _SPLIT_NAMES.get(one.split.lower(), one.split.lower()) for one in recordings}
    wrong = [f"{id} {split!r}" for id, split in owner.items() if split not in SPLITS]
    if wrong:
        raise CorpusError(f"the split column must be train, valid or test, not: {few(wrong)}")
    return owner
