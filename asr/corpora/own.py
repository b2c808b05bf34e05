"""Your own recordings: a folder of audio files with a .txt beside each, or a list of paths and texts.

The list is a table, a Kaldi data folder or a NeMo manifest. What it gives as a stretch of a longer recording is cut out
and written beside the manifests; all else stays where it is.

The splits are made here, seeded: by speaker where every speaker is known and there are at least three, so that the
figures tell about new speakers; else by text, so that no sentence is both learnt and tested (a prompt read ten times
stays together). A recording stays in its split when others are added. What the splits share, dataset.yaml declares. A
list may also bring its own splits, and then only the user can say that they share something on purpose.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from asr.config import TextConfig
from asr.corpora import kaldi
from asr.corpora.common import (
    SPLITS,
    OnError,
    OnProgress,
    be_silent,
    durations,
    earlier_division,
    file_names,
    kept_splits,
    shared_between,
    source_folder,
    stop,
)
from asr.corpora.divide import divide
from asr.corpora.listing import Recording, Table, default_id, from_folder, from_tables, given_splits, unique
from asr.corpora.pieces import FOLDER, Piece, stretch, write_pieces_and_corpus
from asr.data.manifest import Dataset, Utterance
from asr.errors import CorpusError
from asr.text import Normalizer, describe_characters

_FEW_TEXTS = 10  # fewer different ones in a split say nothing about other texts
_FEW_WORDS = 30  # fewer different texts in all are words or commands, said again and again
_FEW_SPEAKERS, _LITTLE = 10, 0.55  # share of the time; training should have some eight tenths


def prepare(
    source: str | Path,
    out: str | Path,
    *,
    table: Table | None = None,
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
        source: Folder of the recordings, which the paths in a list start from; or a Kaldi data folder.
        out: Folder for the manifests and dataset.yaml, and for the stretches that a list names (see `pieces`).
        table: Instead of a .txt beside each recording: a .csv or .tsv file with the texts, a Kaldi data folder, or a
            NeMo manifest; or one of these for each split, by its name.
        speaker_from_folder: The speaker is the name of the folder that a recording lies in; no two may be called alike.
        valid: Share of the time for validation.
        test: Share of the time for the test.
        seed: Of the division. Recordings that are in the manifests of `out` already stay in their splits; shares and
            seed then decide about new ones only.
        dataset: Name and licence for dataset.yaml, and what a list's own splits share on purpose.
        on_error: Called with the error of each recording that cannot be used, which is left out; by default the
            first is raised.
        on_progress: Called after each recording with the number done and the number of all.
        overwrite: Divide anew, and replace the manifests that are there already.

    Returns:
        The utterances of train, valid and test.

    Raises:
        CorpusError: There is nothing to prepare, the list cannot be used, there is too little for three splits, or
            another division is there already.
        ManifestError: A NeMo manifest cannot be used.
    """
    if not (valid > 0 and test > 0 and valid + test < 1):
        raise CorpusError(f"valid {valid} and test {test} must be above 0, and their sum below 1")
    folder = source_folder(source)
    if table is None and kaldi.is_data_folder(folder):
        table = folder
    found = from_folder(folder, on_error) if table is None else from_tables(folder, table, on_error)
    if speaker_from_folder:
        _require_one_each({recording.audio.parent for recording in found})
        found = [replace(recording, speaker=recording.audio.parent.name) for recording in found]
    found = unique(found, on_error)
    places = {one.audio: one.place for one in reversed(found) if one.place}  # of each file the first
    held = durations(list(dict.fromkeys(one.audio for one in found)), on_error, on_progress, places)
    found = list(_within(found, held, on_error))
    if not found:
        raise CorpusError(f"{folder}: no usable recordings")
    given = any(recording.split for recording in found)
    if dataset and dataset.shared and not given:
        raise CorpusError(
            "--shared is for splits that a list brings with it, by a split column or as --table train=LIST"
        )
    pieces = _pieces(found, held, folder, Path(out))
    files = {one.id: str(pieces[one.id].target if one.id in pieces else one.audio) for one in found}
    utterances = [
        Utterance(one.id, files[one.id], one.text, _length(one), one.speaker, dict(one.extra)) for one in found
    ]
    if given:
        owner = given_splits(found)
    else:
        before = [] if overwrite else earlier_division(out)
        owner = _made_splits(utterances, {"test": test, "valid": valid}, seed, kept_splits(before, utterances))
    splits = {split: [one for one in utterances if owner[one.id] == split] for split in SPLITS}
    dataset = dataset or Dataset()
    shared = dataset.shared if given else shared_between(splits)
    dataset = replace(dataset, name=dataset.name or folder.resolve().name, shared=shared)
    return write_pieces_and_corpus(out, splits, dataset, list(pieces.values()), None, on_error, on_progress, overwrite)


def _require_one_each(folders: Iterable[Path]) -> None:
    """Make sure that folders which are to name speakers have names of their own.

    `anna/session1` and `bert/session1` would make of two people one speaker, and of each of them several.

    Raises:
        CorpusError: Two have the same.
    """
    of_name: dict[str, Path] = {}
    for folder in sorted(folders):
        other = of_name.setdefault(folder.name, folder)
        if other.resolve() != folder.resolve():
            raise CorpusError(
                f"folder {folder.name} is in both {other.parent} and {folder.parent}, so it identifies no speaker; "
                "put the recordings of each speaker into one folder, or use a table with a speaker column"
            )


def doubts(splits: Mapping[str, Sequence[Utterance]], shared: Sequence[str]) -> list[str]:
    """What speaks against a division.

    Hardly anything in a split, letters that training never sees, and what splits share without its being `shared` on
    purpose, which training will refuse.
    """
    normalizer = Normalizer.from_config(TextConfig())
    texts = {split: [normalizer(utterance.text) for utterance in utterances] for split, utterances in splits.items()}
    lines = list(_few_texts(texts, _speakers_apart(splits))) or list(_few_speakers(splits))
    lines += _nameless_speakers(splits)
    if undeclared := [kind for kind in shared_between(splits) if kind not in shared]:
        lines.append(
            f"The splits share {' and '.join(undeclared)}, and training refuses that. Split differently or, if this is "
            f"intended, declare it: {' '.join(f'--shared {kind}' for kind in undeclared)}."
        )
    known = set("".join(texts["train"]))
    held_out = [text for split, found in texts.items() if split != "train" for text in found]
    if strange := set("".join(held_out)) - known:
        count = sum(bool(strange & set(text)) for text in held_out)
        lines.append(
            f"Not in train, so no model can output them: {describe_characters(strange)}; "
            f"in {count:,} of {len(held_out):,} validation and test utterances."
        )
    return lines


def _speakers_apart(splits: Mapping[str, Sequence[Utterance]]) -> bool:
    """Whether every speaker is known, and in one split alone."""
    speakers = [{utterance.speaker for utterance in found} for found in splits.values()]
    everybody = set.union(*speakers)
    return None not in everybody and len(everybody) == sum(map(len, speakers))


def _few_texts(texts: Mapping[str, Sequence[str]], apart: bool) -> Iterator[str]:
    """A line where a split has too little to say anything: of new speakers utterances, else different texts."""
    counts = {split: len(found) if apart else len(set(found)) for split, found in texts.items()}
    if not (scarce := [f"{split} ({count})" for split, count in counts.items() if count < _FEW_TEXTS]):
        return
    line = f"Too few {'utterances' if apart else 'distinct texts'}: {', '.join(scarce)}; figures on them mean little."
    if not apart and len(set().union(*texts.values())) < _FEW_WORDS:
        line += (
            " Recordings of the same few words are better split by speaker, which requires at least three and the "
            "speaker of each recording: a column, or --speaker-from folder."
        )
    yield line


def _few_speakers(splits: Mapping[str, Sequence[Utterance]]) -> Iterator[str]:
    """A line where a few speakers, none of them in two splits, have left little to train on."""
    seconds = {split: sum(utterance.duration for utterance in found) for split, found in splits.items()}
    everybody = {utterance.speaker for found in splits.values() for utterance in found}
    share = seconds["train"] / sum(seconds.values())
    if _speakers_apart(splits) and len(everybody) < _FEW_SPEAKERS and share < _LITTLE:
        yield (
            f"Training has only {share:.0%} of the audio: each of the {len(everybody)} speakers is in one split only. "
            "Splitting by text (leave the speakers out) gives more, but figures then say nothing about unseen speakers."
        )


def _nameless_speakers(splits: Mapping[str, Sequence[Utterance]]) -> Iterator[str]:
    """A line where no speaker is known, although the recordings are in folders, of which each may be a speaker's."""
    everything = [utterance for found in splits.values() for utterance in found]
    folders = {Path(utterance.audio).parent for utterance in everything}
    if len(folders) >= len(SPLITS) and all(utterance.speaker is None for utterance in everything):
        yield (
            f"No speaker is known, and the recordings are in {len(folders):,} folders. If each of them is a speaker's, "
            "--speaker-from folder keeps speakers apart."
        )


def _within(recordings: Iterable[Recording], held: Mapping[Path, float], on_error: OnError) -> Iterator[Recording]:
    """The recordings that can be read, their stretches ending with what is there; see `stretch`."""
    for one in recordings:
        if one.audio in held:
            try:
                start, end = stretch(one.start, one.end, held[one.audio])
            except CorpusError as error:
                on_error(CorpusError(f"{one.place}: {one.audio}: {error}"))
            else:
                yield replace(one, start=start, end=end)


def _length(recording: Recording) -> float:
    """Seconds of a recording whose end is known."""
    assert recording.end is not None
    return recording.end - recording.start


def _pieces(recordings: Sequence[Recording], held: Mapping[Path, float], folder: Path, out: Path) -> dict[str, Piece]:
    """By id, what must be cut out: stretches that are not all of their file.

    A piece is named after its recording and its times, not after its id. Ids may be mere numbers of rows: then another
    stretch would take the place of one that earlier manifests name, and nobody could tell which change their split.
    """
    parts = [one for one in recordings if _length(one) < held[one.audio]]
    names = file_names(default_id(one.audio, folder, one.start, one.end) for one in parts)
    return {
        one.id: Piece(one.audio, out / FOLDER / f"{name}.flac", one.start, one.start + _length(one))
        for one, name in zip(parts, names, strict=True)
    }


def _made_splits(
    utterances: Sequence[Utterance], shares: Mapping[str, float], seed: int, kept: Mapping[str, str]
) -> dict[str, str]:
    """The split of each id: by speaker where all are known and enough for every split, else by text.

    Args:
        utterances: Of all splits.
        shares: Of the time, for validation and test.
        seed: Of the order in which groups are dealt out.
        kept: By id, the split of each utterance that was there before. The rest of its group (by its speaker, or of its
            text) follows it.

    Raises:
        CorpusError: There are too few groups, or one is in two splits already.
    """
    normalizer = Normalizer.from_config(TextConfig())
    speakers = {one.id: one.speaker or "" for one in utterances}
    enough = len(set(speakers.values())) >= len(SPLITS) and all(speakers.values())
    groups = speakers if enough else {one.id: normalizer(one.text) for one in utterances}
    length: dict[str, float] = defaultdict(float)
    for one in utterances:
        length[groups[one.id]] += one.duration
    if len(length) < len(SPLITS):
        raise CorpusError(f"{len(length)} distinct texts are too few for three splits that share no text")
    stay = {groups[id]: split for id, split in kept.items()}
    if apart := [id for id, split in kept.items() if stay[groups[id]] != split]:
        group = groups[apart[0]]
        other = next(id for id in kept if groups[id] == group and kept[id] == stay[group])
        raise CorpusError(
            f"{'speaker' if enough else 'text'} {group!r:.60} is in two splits of the earlier division ({apart[0]} in "
            f"{kept[apart[0]]}, {other} in {kept[other]}); use the same options as then, correct it, choose another "
            "--out, or --overwrite to divide anew and train again"
        )
    split_of = divide(length, shares, seed, stay)
    return {id: split_of[group] for id, group in groups.items()}
