"""Any text in any language of espeak-ng as a corpus: to teach a recogniser a language before it hears people.

The splits share no sentence and no voice (see `cast`), so that the test set says what the model makes of new sentences
by new voices of the synthesiser. It says little about people: that is what real recordings are for, with
`train.init_from`. Equal texts and options make equal bytes, whatever the number of processes.
"""

from __future__ import annotations

import difflib
import hashlib
import math
import random
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import cycle, islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import soxr

from asr.audio import write_flac
from asr.config import TextConfig
from asr.corpora.common import earlier_division, few, read_text
from asr.corpora.espeak import Espeak, espeak_languages
from asr.corpora.rooms import in_a_room
from asr.corpora.spoken import AUDIO, VOICE, speak_corpus
from asr.corpora.voices import Voice, cast
from asr.data.manifest import Dataset, Utterance, write_manifest
from asr.errors import CorpusError
from asr.text import Normalizer

DATASET = Dataset(
    name="synth",
    license="that of the text",
    attribution="spoken by the speech synthesiser espeak-ng, https://github.com/espeak-ng/espeak-ng",
)
VOICES: Mapping[str, int] = MappingProxyType({"train": 60, "valid": 6, "test": 8})
MOST_HOURS = 10.0  # of training speech, where nothing else is asked for
HELD_OUT_MINUTES = 12.0  # of validation, and of test, at most
LONGEST = 150  # letters of an utterance, some twelve seconds
DROPPED = "dropped.txt"  # beside a voice's recordings: ids and texts of those that were not fit

_PER_SECOND = 13.0  # letters that are spoken in a second, about
_SLOW, _FAST = 130, 210  # words a minute, as espeak-ng counts
# Letters a second at the slow rate. Whole words of ten languages have 8 to 20; where the voice does not know the script
# and says "Chinese letter", or "Cyrillic" before each, it is 3.5 to 4.8.
_LEAST, _MOST = 6.0, 40.0
_SHORT = 2  # letters more, for what a single word has of silence
_WIDE = 3  # a Chinese, Japanese or Korean sign takes about as long as so many letters
_SAID_BY_NAME = "#%&*/@\\§¶"  # punctuation that the synthesiser reads out, as it does symbols: "and", "asterisk"
# Between clauses: after punctuation with a space behind it, or of scripts that write none there.
_ENDS = re.compile(r"(?<=[.!?…;:,؟،؛।])\s+|(?<=[。！？、，；：])\s*")


@dataclass
class Sentences:
    """What there is to say.

    Attributes:
        texts: Each once, none longer than `LONGEST` letters.
        skipped: How many could not be used, by reason.
    """

    texts: list[str] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)


def letters(text: str) -> int:
    """How many letters it takes about as long to say as this text."""
    return sum(_WIDE if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def pieces(line: str) -> Iterator[str]:
    """A line in parts of at most `LONGEST` letters, cut after punctuation, else between words, else anywhere."""
    if letters(line) <= LONGEST:
        yield from [line.strip()] if line.strip() else []
        return
    part = ""
    for clause in _ENDS.split(line):
        units = [clause] if letters(clause) <= LONGEST else clause.split(" ")
        for unit in units:
            joined = f"{part} {unit}".strip()
            if letters(joined) <= LONGEST:
                part = joined
                continue
            if part:
                yield part
            if letters(unit) > LONGEST:
                *whole, unit = _cut(unit)
                yield from whole
            part = unit
    if part:
        yield part


def _cut(word: str) -> Iterator[str]:
    """What has no space, in parts of at most `LONGEST` letters, no mark without what it stands on (but in a jumble)."""
    start, most = 0, LONGEST // _WIDE
    while start < len(word):
        end = start + most
        while start < end < len(word) and unicodedata.category(word[end])[0] == "M":
            end -= 1
        end = start + most if end == start else end
        yield word[start:end]
        start = end


class _Sayable(dict[int, str]):
    """A table for `str.translate` that blanks what would be said and not written, and control characters.

    The normaliser drops symbols, so a transcript lacks the "grinning face" that is heard; at a NUL the synthesiser
    would stop.
    """

    def __missing__(self, code: int) -> str:
        character = chr(code)
        category = unicodedata.category(character)
        unsaid = category[0] == "S" or category == "Cc" or character in _SAID_BY_NAME
        return self.setdefault(code, " " if unsaid else character)


def read_sentences(texts: Sequence[str | Path], numbers: bool = False) -> Sentences:
    """The sentences of UTF-8 text files: lines, and parts of long ones.

    Args:
        texts: The files.
        numbers: Keep sentences with figures; what is heard for "12" is not what is written.

    Raises:
        CorpusError: A file cannot be read, or nothing in them can be said.
    """
    normalizer = Normalizer.from_config(TextConfig())
    found = Sentences()
    seen: set[str] = set()
    sayable = _Sayable()
    reasons = {"with digits (write them as words, or use --numbers)": 0, "duplicates": 0, "without letters": 0}
    figures, again, empty = reasons
    for path in texts:
        for line in read_text(Path(path)).splitlines():
            for text in pieces(" ".join(unicodedata.normalize("NFC", line).translate(sayable).split())):
                key = normalizer(text)
                if not any(character.isalpha() for character in key):
                    reasons[empty] += 1
                elif not numbers and any(unicodedata.category(character)[0] == "N" for character in key):
                    reasons[figures] += 1
                elif key in seen:
                    reasons[again] += 1
                else:
                    seen.add(key)
                    found.texts.append(text)
    found.skipped = {reason: count for reason, count in reasons.items() if count}
    if not found.texts:
        raise CorpusError(f"{few(texts)}: no usable sentences")
    return found


def deal(texts: Iterable[str], hours: float | None, seed: int) -> dict[str, list[str]]:
    """Sentences for each split, in an order drawn by chance: a twentieth for validation, a twentieth for the test.

    Args:
        texts: Each once.
        hours: Of training speech, about; where the text is shorter, its sentences are said several times. None: each
            once, but no more than `MOST_HOURS`.
        seed: Another seed is another division.

    Raises:
        CorpusError: There are too few sentences for three splits, or `hours` is no number above 0.
    """
    if hours is not None and not 0 < hours < math.inf:  # no text ever lasts for NaN hours
        raise CorpusError(f"hours must be a number above 0, not {hours}")
    drawn = sorted(texts, key=lambda text: hashlib.sha256(f"{seed} {text}".encode()).digest())
    share = max(1, len(drawn) // 20)
    splits = {"valid": drawn[:share], "test": drawn[share : 2 * share], "train": drawn[2 * share :]}
    if not splits["train"]:
        raise CorpusError(f"too few sentences for three splits: {len(drawn)}")
    for name, held in splits.items():
        random.Random(f"{seed} {name}").shuffle(held)
        minutes = HELD_OUT_MINUTES if name != "train" else 60 * (hours or MOST_HOURS)
        endless = cycle(held) if name == "train" and hours else iter(held)
        splits[name] = list(_up_to(60 * minutes * _PER_SECOND, endless))
    return splits


def _up_to(most: float, texts: Iterable[str]) -> Iterator[str]:
    """The first texts, until they have so many letters."""
    said = 0
    for text in texts:
        if said >= most:
            return
        said += letters(text)
        yield text


def record(voice: Voice, folder: Path, texts: Sequence[str], sample_rate: int, seed: int) -> None:
    """Speak all texts of a voice into `folder`: audio, what was dropped, and a manifest, written last.

    This is the work of one fresh process (see `Espeak`).
    """
    generator = random.Random(f"{seed} {voice.speaker}")
    room = np.random.default_rng(generator.getrandbits(64))
    espeak = Espeak(f"{voice.accent}+{voice.variant}", seed=generator.getrandbits(31))
    folder.mkdir(parents=True, exist_ok=True)
    spoken, dropped = [], []
    for number, text in enumerate(texts):
        name = _id(voice, number)
        rate, pitch, intonation = (generator.randint(*limits) for limits in ((_SLOW, _FAST), (30, 70), (20, 80)))
        speech = espeak.speak(text, rate=rate, pitch=pitch, intonation=intonation)
        seconds = len(speech) / espeak.sample_rate
        if not speech.any() or not _LEAST <= (letters(text) + _SHORT) / seconds * _SLOW / rate <= _MOST:
            dropped.append(f"{name}\t{seconds:.2f} s\t{text}\n")
            continue
        waveform = in_a_room(soxr.resample(speech, espeak.sample_rate, sample_rate), sample_rate, room)
        path = folder / f"{name}.flac"
        write_flac(path, waveform, sample_rate)
        spoken.append(Utterance(name, str(path), text, len(waveform) / sample_rate, voice.speaker))
    (folder / DROPPED).write_text("".join(dropped), encoding="utf-8")
    write_manifest(folder / VOICE, spoken)


def _id(voice: Voice, number: int) -> str:
    return f"{voice.speaker}_{number:05d}"


def check_languages(languages: Sequence[str]) -> None:
    """Make sure that the synthesiser speaks them.

    Raises:
        CorpusError: It does not know one, or is not installed.
    """
    known = espeak_languages()
    for language in languages:
        if language not in known:
            near = difflib.get_close_matches(language, known, 4, 0.4)
            near += [code for code in known if code.partition("-")[0] == language and code not in near]
            more = f"; similar: {', '.join(near)}" if near else ""
            raise CorpusError(f"espeak-ng has no language {language!r}{more} (it has {len(known)}: {few(known, 200)})")


def prepare(
    out: str | Path,
    *,
    texts: Sequence[str | Path],
    languages: Sequence[str],
    hours: float | None = None,
    voices: Mapping[str, int] = VOICES,
    numbers: bool = False,
    sample_rate: int = 16000,
    seed: int = 0,
    workers: int | None = None,
    shard_mb: float | None = None,
    say: Callable[[str], None] = lambda line: None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    overwrite: bool = False,
) -> dict[str, list[Utterance]]:
    """Make the corpus in the folder `out`; or find it there, made earlier from the same texts and options.

    What an interrupted call left is completed.

    Args:
        out: Gets the manifests, dataset.yaml, recipe.json (the options), and audio/ or shards/.
        texts: UTF-8 text files in the language, a sentence or a paragraph a line.
        languages: espeak-ng's code of the language; several are accents, which take turns over the voices.
        hours: See `deal`.
        voices: Speakers of train, valid and test.
        numbers: See `read_sentences`.
        sample_rate: Of the audio, Hz.
        seed: Equal seeds make equal bytes.
        workers: Processes that work at the same time; None is one a core.
        shard_mb: Size of the tar archives that the recordings end up in (see `pack`); None: they stay files.
        say: Called with lines about what was left out.
        on_progress: Called with the voices made so far and their total.
        overwrite: Replace another division that is there already.

    Returns:
        The utterances by split.

    Raises:
        CorpusError: espeakng-loader is not installed, an unknown language, a text that cannot be used, fewer variants
            than voices, or `out` holds something else or another division.
    """
    out = Path(out)
    check_languages(languages)
    found = read_sentences(texts, numbers)
    for reason, count in found.skipped.items():
        say(f"left out {count:,} of {sum(found.skipped.values()) + len(found.texts):,} sentences: {reason}")
    splits = deal(found.texts, hours, seed)
    plan: dict[Voice, list[str]] = {}
    for voice in cast(voices, languages, seed):
        turn = sum(other.split == voice.split for other in plan)
        said = list(islice(splits[voice.split], turn, None, voices[voice.split]))
        if said:  # a short text needs fewer voices
            plan[voice] = said
    if not overwrite:
        _refuse_to_move(out, plan)
    texts_id = hashlib.sha256("\n".join(found.texts).encode()).hexdigest()[:16]
    recipe: dict[str, Any] = {"corpus": "synth", "version": 1, "espeakng-loader": version("espeakng-loader")}
    recipe |= {"texts": texts_id, "languages": list(languages), "hours": hours, "voices": dict(voices)}
    recipe |= {"sample_rate": sample_rate, "seed": seed} | ({"shard_mb": shard_mb} if shard_mb else {})
    jobs = {v.speaker: (v, out / AUDIO / v.speaker, own, sample_rate, seed) for v, own in plan.items()}
    made = speak_corpus(
        out,
        recipe,
        {voice.speaker: voice.split for voice in plan},
        {_id(voice, number): voice.split for voice, own in plan.items() for number in range(len(own))},
        record,
        jobs,
        DATASET,
        workers=workers,
        shard_mb=shard_mb,
        on_progress=on_progress,
        overwrite=overwrite,
    )
    planned, kept = sum(map(len, plan.values())), sum(map(len, made.values()))
    if kept < planned:
        say(f"left out {planned - kept:,} of {planned:,} recordings: silent, or too long or short for their text")
    return made


def _refuse_to_move(out: Path, plan: Mapping[Voice, Sequence[str]]) -> None:
    """Make sure that no sentence comes into another split: recordings are called by their voice, whatever it says.

    Raises:
        CorpusError: Some would.
    """
    now = {text: voice.split for voice, own in plan.items() for text in own}
    before = earlier_division(out)
    moved = [f"{one.id} from {split} to {now[one.text]}" for one, split in before if now.get(one.text, split) != split]
    if moved:
        raise CorpusError(
            f"{out}: the sentences of {len(moved):,} of {len(before):,} recordings would move to another split "
            f"({few(moved)}); choose another --out, or --overwrite and train again"
        )
