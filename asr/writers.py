"""The formats that a transcript is written in, and the files that it goes to.

Another format is a function from a transcript to the text of a file, and a line in `WRITERS`.
"""

from __future__ import annotations

import json
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from asr.archive import without_ending
from asr.atomic import replacing
from asr.errors import AsrError
from asr.transcript import Transcript, Word

# Captions, by the usual rules of subtitling: two lines of 42 characters (of which a Chinese one is worth two), five
# sixths of a second to seven seconds.
_LINE, _LINES = 42, 2
_SHORTEST, _LONGEST = 5 / 6, 7.0
_PAUSE = 1.0  # seconds of silence that end a caption
_VIRAMA = 9  # Unicode's combining class of signs that put the next consonant below the last
_WRITTEN_FIRST = "เแโใไເແໂໃໄ"  # vowels of Thai and Lao, before the consonant that they follow in speech
_BREAK = 1 / 24  # seconds between captions where one stays longer than its words: a frame of film


def to_text(transcript: Transcript) -> str:
    """The words and nothing else, one line."""
    return transcript.text + "\n"


def to_json(transcript: Transcript) -> str:
    """Everything, as one indented JSON object."""
    return json.dumps(transcript.to_json(), ensure_ascii=False, indent=2) + "\n"


def to_tsv(transcript: Transcript) -> str:
    """A line a word: start and end in seconds, the word, its confidence."""
    return "".join(f"{w.start:.3f}\t{w.end:.3f}\t{w.word}\t{w.confidence:.3f}\n" for w in transcript.words)


def to_ctm(transcript: Transcript) -> str:
    """NIST's time-marked conversation format: recording, channel 1, start and length in seconds, word, confidence.

    The recording's name is that of its file, without folder and ending; white space in it is an underscore.
    """
    name = "_".join(without_ending(transcript.audio or "-").name.split()) or "-"
    name = name.encode(errors="replace").decode()  # a file's name may be no UTF-8
    return "".join(
        f"{name} 1 {w.start:.3f} {round(w.end, 3) - round(w.start, 3):.3f} {w.word} {w.confidence:.3f}\n"
        for w in transcript.words
    )


def to_srt(transcript: Transcript) -> str:
    """SubRip captions."""
    blocks = [
        f"{number}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{text}\n"
        for number, (start, end, text) in enumerate(_captions(transcript.words), 1)
    ]
    return "\n".join(blocks)


def to_vtt(transcript: Transcript) -> str:
    """WebVTT captions (W3C)."""
    blocks = ["WEBVTT\n"]
    for start, end, text in _captions(transcript.words):
        escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        blocks.append(f"{_clock(start, '.')} --> {_clock(end, '.')}\n{escaped}\n")
    return "\n".join(blocks)


def to_textgrid(transcript: Transcript) -> str:
    """Praat's TextGrid, in its long form: one tier, `words`; gaps between words are empty intervals."""
    intervals = _intervals(transcript.words, transcript.duration)
    end = intervals[-1][1]
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {end:.3f}",
        "tiers? <exists>",
        "size = 1",
        "item []:",
        "    item [1]:",
        '        class = "IntervalTier"',
        '        name = "words"',
        "        xmin = 0",
        f"        xmax = {end:.3f}",
        f"        intervals: size = {len(intervals)}",
    ]
    for number, (start, end, text) in enumerate(intervals, 1):
        quoted = text.replace('"', '""')
        lines += [
            f"        intervals [{number}]:",
            f"            xmin = {start:.3f}",
            f"            xmax = {end:.3f}",
            f'            text = "{quoted}"',
        ]
    return "\n".join(lines) + "\n"


WRITERS: dict[str, Callable[[Transcript], str]] = {
    "txt": to_text,
    "json": to_json,
    "srt": to_srt,
    "vtt": to_vtt,
    "tsv": to_tsv,
    "ctm": to_ctm,
    "textgrid": to_textgrid,
}
_ENDINGS = {"textgrid": "TextGrid"}  # as Praat writes it; of all others the format's name


def _intervals(words: Sequence[Word], duration: float) -> list[tuple[float, float, str]]:
    """Start, end and text of intervals without a gap from 0 to the end of the audio, to the millisecond.

    Praat takes none without length, so a word that would have none, at the very end, joins the one before.
    """
    intervals: list[tuple[float, float, str]] = []
    at, last = 0.0, max(round(duration, 3), 0.001)
    for word in words:
        start, end = max(round(word.start, 3), at), min(round(word.end, 3), last)
        if end <= start:
            if intervals:
                before = intervals.pop()
                intervals.append((before[0], before[1], f"{before[2]} {word.word}".strip()))
                continue
            start, end = 0.0, last
        if start > at:
            intervals.append((at, start, ""))
        intervals.append((start, end, word.word))
        at = end
    if at < last:
        intervals.append((at, last, ""))
    return intervals


class _Unit(NamedTuple):
    """What no caption breaks; `before` it is a space, or nothing if it goes on with a word."""

    text: str
    start: float
    end: float
    before: str


def _units(words: Iterable[Word]) -> list[_Unit]:
    """Words; of one that is too long for a line or a caption, its characters with their marks.

    Such a word is a text in a script without spaces. Nothing here knows where its words begin.
    """
    units: list[_Unit] = []
    for word in words:
        if not word.parts or (_width(word.word) <= _LINE and word.end - word.start <= _LONGEST):
            units.append(_Unit(word.word, word.start, word.end, " "))
            continue
        for place, part in enumerate(word.parts):
            if place and _is_one_with(part.text[0], units[-1].text[-1]):
                whole = units.pop()
                units.append(whole._replace(text=whole.text + part.text, end=part.end))
            else:
                units.append(_Unit(part.text, part.start, part.end, "" if place else " "))
    return units


def _is_one_with(character: str, before: str) -> bool:
    """Whether a character belongs to the one before it: a mark, or below it, or after a vowel that is written first."""
    return (
        unicodedata.category(character) in ("Mn", "Mc", "Me", "Cf")
        or unicodedata.combining(before) == _VIRAMA
        or before in _WRITTEN_FIRST
    )


def _captions(words: Sequence[Word]) -> list[tuple[float, float, str]]:
    """Start, end and text of captions, in order and without overlap.

    A caption ends where the next unit would no longer fit or last too long, and at a pause. One that is too short to
    be read stays, if the next one lets it. A single unit longer than all that is a caption all the same. The
    last one may outlast the audio.
    """
    groups: list[list[_Unit]] = []
    for unit in _units(words):
        group = groups[-1] if groups else []
        fits = len(_wrapped([*group, unit])) <= _LINES
        if group and fits and unit.end - group[0].start <= _LONGEST and unit.start - group[-1].end < _PAUSE:
            group.append(unit)
        else:
            groups.append([unit])
    captions = []
    for group, following in zip(groups, [*groups[1:], []], strict=False):
        start, end = group[0].start, group[-1].end
        wanted = max(end, start + _SHORTEST)
        if following:
            wanted = max(end, min(wanted, following[0].start - _BREAK))
        captions.append((start, wanted, "\n".join(_wrapped(group))))
    return captions


def _wrapped(units: Iterable[_Unit]) -> list[str]:
    """Units in lines of at most `_LINE` characters; a longer unit has a line of its own."""
    lines: list[str] = []
    for unit in units:
        longer = lines[-1] + unit.before + unit.text if lines else ""
        if lines and _width(longer) <= _LINE:
            lines[-1] = longer
        else:
            lines.append(unit.text)
    return lines


def _width(text: str) -> int:
    """Columns: two for a character that East Asian fonts make square, none for a mark on another."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(unicodedata.category(character) in ("Mn", "Me", "Cf") for character in text)


def _clock(seconds: float, point: str) -> str:
    """HH:MM:SS and milliseconds behind a point or comma."""
    total = round(1000 * seconds)
    minutes, rest = divmod(total, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}{point}{rest % 1000:03d}"


def output_paths(stem: Path, formats: Iterable[str]) -> list[Path]:
    """Where a transcript is written: `stem.FORMAT` for each format; a stem may hold dots of its own."""
    return [stem.with_name(f"{stem.name}.{_ENDINGS.get(name, name)}") for name in formats]


def refuse_to_replace(stems: Iterable[Path], formats: Iterable[str]) -> None:
    """Make sure that no transcript would take the place of a file.

    Raises:
        AsrError: One would; it may be what a human wrote.
    """
    formats = list(formats)
    there = [path for stem in stems for path in output_paths(stem, formats) if path.exists()]
    if there:
        more = f" (and {len(there) - 1:,} more)" if len(there) > 1 else ""
        raise AsrError(f"{there[0]}{more}: already exists; use --overwrite to replace it, or another --out")


def save(transcript: Transcript, stem: Path, formats: Iterable[str]) -> None:
    """Write a transcript as `stem.FORMAT` in each of the formats; the folder is made."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    formats = list(formats)
    for name, path in zip(formats, output_paths(stem, formats), strict=True):
        with replacing(path) as aside:
            aside.write_text(WRITERS[name](transcript), encoding="utf-8", newline="\n")


def output_stems(files: Sequence[Path]) -> list[Path]:
    """Relative paths without ending for the transcripts of recordings, no two alike.

    Folders below the deepest one that holds all recordings are kept, so that a/1.wav and b/1.wav stay apart; 1.wav
    and 1.flac in one folder keep their endings, and so do all where that is not enough. Standard input is `stdin`.
    """
    absolute = [Path(os.path.normpath(Path("stdin" if str(file) == "-" else file).absolute())) for file in files]
    folder = os.path.commonpath([path.parent for path in absolute])
    names = [path.relative_to(folder) for path in absolute]
    times = Counter(map(without_ending, names))
    stems = [name if times[without_ending(name)] > 1 else without_ending(name) for name in names]
    return stems if len(set(stems)) == len(set(names)) else names  # beside both, 1.wav.mp3 would be 1.wav too
