"""Kaldi's data folders: `wav.scp`, `text` and, where they are there, `segments` and `utt2spk`.

A line of `wav.scp` may be a command whose output Kaldi would read. No command of a data file is ever run here: three
that only unpack or convert a file stand for that file, which `asr` reads itself, and any other is an error.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import NamedTuple

from asr.corpora.common import read_text
from asr.corpora.table import Row
from asr.errors import CorpusError


class _Entry(NamedTuple):
    """A line of one of the files: where it stands, and what follows its id."""

    place: str
    rest: str


class _Segment(NamedTuple):
    """The recording that an utterance lies in, and from when to when, in seconds; None: to its end."""

    recording: str
    start: float | None = None
    end: float | None = None


def is_data_folder(path: Path) -> bool:
    """Whether a folder is one of Kaldi's."""
    return (path / "wav.scp").is_file()


def read_data_folder(folder: Path) -> list[Row]:
    """The utterances of a data folder, in the order of `segments`, or else of `wav.scp`; then those of `text` alone.

    A speaker who is called as the utterance is unknown: that is how Kaldi says it.

    Raises:
        CorpusError: A file is missing or not UTF-8, a line is not as it must be, or an id stands in it twice.
    """
    audio = {id: _audio(entry) for id, entry in _entries(folder / "wav.scp").items()}
    texts = _entries(folder / "text")
    speakers = _entries(folder / "utt2spk") if (folder / "utt2spk").exists() else {}
    if (folder / "segments").exists():
        places = _entries(folder / "segments")
        segments = {id: _segment(entry) for id, entry in places.items()}
    else:
        places = _entries(folder / "wav.scp")
        segments = {id: _Segment(id) for id in places}
    rows = []
    for id in [*segments, *(id for id in texts if id not in segments)]:
        segment = segments.get(id, _Segment(""))
        text = texts[id].rest if id in texts else ""
        speaker = speakers[id].rest if id in speakers else ""
        if segment.recording and segment.recording not in audio:
            raise CorpusError(f"{places[id].place}: recording {segment.recording} is not in {folder / 'wav.scp'}")
        rows.append(
            Row(
                (places.get(id) or texts[id]).place,
                audio.get(segment.recording, ""),
                text,
                speaker if speaker != id else "",
                id,
                start=segment.start,
                end=segment.end,
            )
        )
    return rows


def _entries(path: Path) -> dict[str, _Entry]:
    """The lines of a file by the id that each begins with."""
    found: dict[str, _Entry] = {}
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        id, *rest = line.split(maxsplit=1)[:2] or [""]
        if not id:
            continue
        if id in found:
            raise CorpusError(f"{path}:{number}: duplicate id {id} (first in {found[id].place})")
        found[id] = _Entry(f"{path}:{number}", " ".join(rest).strip())
    if not found:
        raise CorpusError(f"{path}: contains no lines")
    return found


def _segment(entry: _Entry) -> _Segment:
    """A line `UTTERANCE RECORDING START END`; an END of -1 is that of the recording."""
    try:
        recording, start, end = entry.rest.split()
        segment = _Segment(recording, float(start), None if float(end) == -1 else float(end))
    except ValueError:
        raise CorpusError(f"{entry.place}: must be UTTERANCE RECORDING START END, the times in seconds") from None
    return segment


def _audio(entry: _Entry) -> str:
    """The file that a line of `wav.scp` names, or that its command would read."""
    if not entry.rest:
        raise CorpusError(f"{entry.place}: no audio file given")
    if re.search(r"\.ark:\d+$", entry.rest):
        raise CorpusError(f"{entry.place}: recordings in Kaldi archives cannot be read; unpack them with wav-copy")
    if not entry.rest.endswith("|"):
        return entry.rest
    try:
        file = _file_of(shlex.split(entry.rest.removesuffix("|")))
    except ValueError:  # a quotation mark without its fellow
        file = None
    if file is None:
        raise CorpusError(
            f"{entry.place}: a command, which is never run; for `sph2pipe -f wav FILE |`, "
            "`flac -c -d -s FILE |` and `sox FILE -t wav - |` the file is read, else convert it and name the file"
        )
    return file


def _file_of(command: list[str]) -> str | None:
    """What a command reads, if all that it does is to unpack or convert it."""
    program, *arguments = command or [""]
    match [Path(program).name, *arguments]:
        case ["sph2pipe", *options, file] if set(options) <= {"-p", "-f", "wav"}:
            pass
        case ["flac", *options, file] if {"c", "d"} <= set("".join(options)) <= set("-cds"):
            pass
        case ["sox", file, "-t", "wav", "-"]:
            pass
        case _:
            return None
    return None if file.startswith("-") else file
