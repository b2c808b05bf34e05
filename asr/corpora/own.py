"""Your own recordings: a folder of audio files with a .txt beside each, or a table of paths and texts.

The splits are made here, seeded: by speaker where every speaker is known and there are at least three, so that the
figures tell about strangers; else by text, so that no sentence is both learnt and tested (a prompt read ten times
stays together). What the splits share after that, dataset.yaml declares. A table may also bring its own splits, and
then only the user can say that they share something on purpose.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from asr.archive import size, without_ending
from asr.audio import find_audio
from asr.config import TextConfig
from asr.corpora.common import (
    SPLITS,
    OnError,
    OnProgress,
    be_silent,
    durations,
    few,
    read_text,
    shared_between,
    source_folder,
    stop,
    write_corpus,
)
from asr.corpora.divide import divide
from asr.corpora.table import read_table
from asr.data.manifest import Dataset, Utterance
from asr.errors import CorpusError
from asr.text import Normalizer, describe_characters

_FEW_TEXTS = 10  # different ones; fewer in a split say nothing about other texts
_SPLIT_NAMES = {"training": "train", "dev": "valid", "val": "valid", "validation": "valid"}


@dataclass(frozen=True)
class Recording:
    """A recording of the source; `split` is "" unless a table says it, and `line`, that of the table, 0 without one."""

    id: str
    audio: Path
    text: str
    speaker: str | None
    split: str = ""
    line: int = 0


def prepare(
    source: str | Path,
    out: str | Path,
    *,
    table: str | Path | None = None,
    speaker_from_folder: bool = False,
    valid: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
    dataset: Dataset | None = None,
    on_error: OnError = stop,
    on_progress: OnProgress = be_silent,
    overwrite: bool = False,
) -> dict[str, list[Utterance]]:
    """Write the manifests of a folder of recordings.

    Args:
        source: Folder of the recordings; the paths in a table start from it.
        out: Folder for the manifests and dataset.yaml.
        table: A .csv or .tsv file with the texts, instead of a .txt beside each recording.
        speaker_from_folder: The speaker is the name of the folder that a recording lies in.
        valid: Share of the time for validation.
        test: Share of the time for the test.
        seed: Another seed is another division.
        dataset: Name and licence for dataset.yaml, and what a table's own splits share on purpose.
        on_error: Called with the error of each recording that cannot be used, which is left out; by default the
            first is raised.
        on_progress: Called after each recording with the number done and the number of all.
        overwrite: Replace another division that is there already.

    Returns:
        The utterances of train, valid and test.

    Raises:
        CorpusError: There is nothing to prepare, the table cannot be used, there is too little for three splits, or
            another division is there already.
    """
    if not (valid > 0 and test > 0 and valid + test < 1):
        raise CorpusError(f"valid {valid} and test {test} must be above 0, and below 1 together")
    folder = source_folder(source)
    found = _from_folder(folder, on_error) if table is None else _from_table(folder, Path(table), on_error)
    if speaker_from_folder:
        found = [replace(recording, speaker=recording.audio.parent.name) for recording in found]
    found = _unique(found, table, on_error)
    lines = {recording.audio: f"{table}:{recording.line}" for recording in found if recording.line}
    seconds = durations([recording.audio for recording in found], on_error, on_progress, lines)
    found = [recording for recording in found if recording.audio in seconds]
    if not found:
        raise CorpusError(f"{table or folder}: no recording that can be used")
    given = any(recording.split for recording in found)
    owner = _given_splits(found) if given else _made_splits(found, seconds, {"test": test, "valid": valid}, seed)
    splits: dict[str, list[Utterance]] = {split: [] for split in SPLITS}
    for one in found:
        splits[owner[one.id]].append(Utterance(one.id, str(one.audio), one.text, seconds[one.audio], one.speaker))
    dataset = dataset or Dataset()
    shared = dataset.shared if given else shared_between(splits)
    dataset = replace(dataset, name=dataset.name or folder.resolve().name, shared=shared)
    write_corpus(out, splits, dataset, overwrite)
    return splits


def doubts(splits: Mapping[str, Sequence[Utterance]]) -> list[str]:
    """Why figures on a division would mean little: hardly any texts in a split, letters that training never sees."""
    normalizer = Normalizer.from_config(TextConfig())
    texts = {split: [normalizer(utterance.text) for utterance in utterances] for split, utterances in splits.items()}
    lines = []
    if scarce := [f"{split} ({len(set(found))})" for split, found in texts.items() if len(set(found)) < _FEW_TEXTS]:
        lines.append(
            f"Hardly any different texts: {', '.join(scarce)}. Recordings of the same few words are better divided by "
            "speaker: give a speaker column, or --speaker-from folder."
        )
    known = set("".join(texts["train"]))
    held_out = [text for split, found in texts.items() if split != "train" for text in found]
    if strange := set("".join(held_out)) - known:
        count = sum(bool(strange & set(text)) for text in held_out)
        lines.append(
            f"Never in train, so no model can write them: {describe_characters(strange)}; "
            f"in {count:,} of {len(held_out):,} validation and test utterances."
        )
    return lines


def _from_folder(folder: Path, on_error: OnError) -> list[Recording]:
    """The audio files of a folder, each with the text of the .txt file beside it."""
    texts = {path.with_suffix(""): path for path in sorted(folder.rglob("*")) if path.suffix.lower() == ".txt"}
    audio = find_audio([folder])
    if not any(path.with_suffix("") in texts for path in audio):
        raise CorpusError(
            f"{folder}: none of its {len(audio):,} recordings has a .txt file beside it (or give a table)"
        )
    found = []
    for path in audio:
        try:
            found.append(Recording(_default_id(path, folder), path, _text_beside(path, texts), None))
        except CorpusError as error:
            on_error(error)
    for stem in sorted(texts.keys() - {path.with_suffix("") for path in audio}):
        on_error(CorpusError(f"{texts[stem]}: no audio file beside it"))
    return found


def _text_beside(audio: Path, texts: Mapping[Path, Path]) -> str:
    """The text of a recording, from the file of its stem."""
    path = texts.get(audio.with_suffix(""))
    if path is None:
        raise CorpusError(f"{audio}: no .txt file beside it")
    text = " ".join(read_text(path).split())
    if not text:
        raise CorpusError(f"{path}: holds no text")
    return text


def _from_table(folder: Path, table: Path, on_error: OnError) -> list[Recording]:
    """The rows of a table that have both an audio path and a text."""
    found = []
    for row in read_table(table):
        if row.audio and row.text:
            path = folder / row.audio
            id = row.id or _default_id(path, folder)
            found.append(Recording(id, path, row.text, row.speaker or None, row.split, row.line))
        else:
            on_error(CorpusError(f"{table}:{row.line}: no {'text' if row.audio else 'audio path'}"))
    if found and not any(size(one.audio) is not None for one in found):
        raise CorpusError(
            f"{table}: none of its recordings is there: {found[0].audio}, ... (paths start from the source)"
        )
    return found


def _default_id(audio: Path, folder: Path) -> str:
    """The path below the source folder without its suffix: unique, and the same wherever the folder lies."""
    return without_ending(audio.relative_to(folder) if audio.is_relative_to(folder) else audio).as_posix()


def _unique(recordings: Sequence[Recording], table: str | Path | None, on_error: OnError) -> list[Recording]:
    """Those whose id and audio file did not occur before; only a table can name a file twice."""
    ids: dict[str, Recording] = {}
    files: dict[Path, Recording] = {}
    for one in recordings:
        place = f"{table}:{one.line}" if one.line else one.audio
        if first := files.get(one.audio):
            on_error(CorpusError(f"{place}: the same recording as line {first.line}"))
        elif first := ids.get(one.id):
            other = f"line {first.line}" if first.line else first.audio
            on_error(CorpusError(f"{place}: its id {one.id} is that of {other}"))
        else:
            ids[one.id] = files[one.audio] = one
    return list(ids.values())


def _given_splits(recordings: Sequence[Recording]) -> dict[str, str]:
    """The split of each id as a table's split column says it."""
    owner = {one.id: _SPLIT_NAMES.get(one.split.lower(), one.split.lower()) for one in recordings}
    wrong = [f"{id} {split!r}" for id, split in owner.items() if split not in SPLITS]
    if wrong:
        raise CorpusError(f"the split column must say train, valid or test, not: {few(wrong)}")
    return owner


def _made_splits(
    recordings: Sequence[Recording], seconds: Mapping[Path, float], shares: Mapping[str, float], seed: int
) -> dict[str, str]:
    """The split of each id: by speaker where all are known and enough for every split, else by text."""
    normalizer = Normalizer.from_config(TextConfig())
    speakers = {one.id: one.speaker or "" for one in recordings}
    enough = len(set(speakers.values())) >= len(SPLITS) and all(speakers.values())
    groups = speakers if enough else {one.id: normalizer(one.text) for one in recordings}
    length: dict[str, float] = defaultdict(float)
    for one in recordings:
        length[groups[one.id]] += seconds[one.audio]
    if len(length) < len(SPLITS):
        raise CorpusError(f"{len(length)} different texts are too few for three splits that share no text")
    split_of = divide(length, shares, seed)
    return {id: split_of[group] for id, group in groups.items()}
