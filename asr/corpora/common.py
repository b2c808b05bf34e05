"""What the corpora share: durations of many files at once, short lists for messages, and the files they write."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import blake2b
from itertools import combinations
from pathlib import Path

from asr.audio import probe
from asr.config import TextConfig
from asr.data.manifest import (
    Dataset,
    Utterance,
    manifest_lines,
    parse_line,
    real_folder,
    write_dataset,
    write_manifest,
)
from asr.errors import AsrError, AudioError, CorpusError, ManifestError
from asr.text import Normalizer

SPLITS = ("train", "valid", "test")
SHARDS = "shards"  # beside the manifests, the folder of the tar archives that recordings are packed into

OnError = Callable[[AsrError], None]
OnProgress = Callable[[int, int], None]  # recordings done, recordings in all

_LONGEST_NAME = 200  # bytes; a name of more than 255, with all that is put to it, could not be written


def stop(error: AsrError) -> None:
    """The default of every `on_error`: the first recording that cannot be used ends the preparation."""
    raise error


def be_silent(_done: int, _total: int) -> None:
    """The default of every `on_progress`."""


def source_folder(source: str | Path) -> Path:
    """The corpus folder as a path.

    Raises:
        CorpusError: It is missing or not a folder.
    """
    path = Path(source)
    if not path.is_dir():
        raise CorpusError(f"{path}: {'is a file, not a folder' if path.exists() else 'no such folder'}")
    return path


def read_text(path: Path) -> str:
    """A UTF-8 text file; a byte-order mark is tolerated.

    Raises:
        CorpusError: The file is missing, cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise CorpusError(f"{path}: not UTF-8") from None
    except OSError as error:
        raise CorpusError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None


def few(names: Iterable[object], shown: int = 3) -> str:
    """The first few names and a count of the others, for a one-line message: `a, b, c and 7 more`."""
    listed = [str(name) for name in names]
    more = f" and {len(listed) - shown} more" if len(listed) > shown else ""
    return ", ".join(listed[:shown]) + more


def durations(
    paths: Sequence[Path],
    on_error: OnError = stop,
    on_progress: OnProgress = be_silent,
    places: Mapping[Path, str] | None = None,
) -> dict[Path, float]:
    """Seconds of every audio file, read from the headers by a pool of threads (the work is waiting for the disk).

    Args:
        paths: Audio files.
        on_error: Called with the error of each file that cannot be read, in the order of `paths`; if it returns,
            that file is left out.
        on_progress: Called after each file with the number done and the number of all.
        places: Where a list names the files, as `table.csv:12`, to stand before what is wrong with them.
    """
    places = places or {}

    def duration(path: Path) -> float | AudioError:
        try:
            return probe(path).duration
        except AudioError as error:
            return AudioError(f"{places[path]}: {error}") if path in places else error

    found = {}
    with ThreadPoolExecutor(max_workers=min(32, 4 * (os.cpu_count() or 1))) as pool:
        for number, (path, result) in enumerate(zip(paths, pool.map(duration, paths), strict=True), start=1):
            on_progress(number, len(paths))
            if isinstance(result, AudioError):
                on_error(result)
            else:
                found[path] = result
    return found


def shared_between(splits: Mapping[str, Sequence[Utterance]]) -> tuple[str, ...]:
    """Which of "speaker" and "text" (as the basic normaliser writes it) occur in several splits."""
    normalizer = Normalizer.from_config(TextConfig())
    speakers = [{one.speaker for one in utterances if one.speaker} for utterances in splits.values()]
    texts = [{normalizer(one.text) for one in utterances} - {""} for utterances in splits.values()]
    sets = {"speaker": speakers, "text": texts}
    return tuple(kind for kind, found in sets.items() if any(a & b for a, b in combinations(found, 2)))


def refuse_to_move(out: str | Path, owner: Mapping[str, str]) -> None:
    """Make sure that the recordings of a division which is there already stay in their splits, or are gone.

    What a model was trained on must not become its test; new recordings may come into any split.

    Args:
        out: The folder of the manifests, if there are any.
        owner: The split of each recording from now on, by its file (absolute), by its id, or by both: then the file
            decides, since a table may number its rows anew.

    Raises:
        CorpusError: Some would move; or none is known, so that the manifests are of another corpus.
    """
    before = earlier_division(out)
    now = [_split_of(one, owner) for one, _ in before]
    pairs = zip(before, now, strict=True)
    moved = [f"{one.id} from {old} to {new}" for (one, old), new in pairs if new not in ("", old)]
    if moved:
        raise CorpusError(
            f"{out}: {len(moved):,} of {len(before):,} recordings would move to another split ({few(moved)}), and a "
            "model trained on the old splits must not be tested on the new ones; choose another --out, or --overwrite "
            "and train again"
        )
    if before and not any(now):
        raise CorpusError(f"{out}: contains manifests of another corpus; choose another --out, or --overwrite them")


def refuse_to_lose(out: str | Path, owner: Mapping[str, str]) -> None:
    """Make sure that recordings of a division which is there already are not gone where its shards may hold them alone.

    Packing again replaces the shards; and without packing the manifests would name them no longer, so that the next
    packing would replace them unseen.

    Args:
        out: The folder of the manifests, if there are any.
        owner: As in `refuse_to_move`.

    Raises:
        CorpusError: Some are gone, and there are shards.
    """
    if not any((Path(out) / SHARDS).glob("*.tar")):
        return
    before = [one for one, _ in earlier_division(out)]
    if gone := [one.id for one in before if not _split_of(one, owner)]:
        raise CorpusError(
            f"{out}: {len(gone):,} of {len(before):,} recordings are gone ({few(gone)}), and only {Path(out) / SHARDS} "
            "may still hold them; restore them, choose another --out, or --overwrite to do without them"
        )


def changes_since(
    before: Sequence[tuple[Utterance, str]], splits: Mapping[str, Sequence[Utterance]]
) -> tuple[list[str], list[str]]:
    """What is new in the splits, and what is in none any more, as ids."""
    owner = _owner(splits)
    kept = kept_splits(before, [one for some in splits.values() for one in some])
    new = [one.id for some in splits.values() for one in some if one.id not in kept]
    return new, [one.id for one, _ in before if not _split_of(one, owner)]


def kept_splits(before: Sequence[tuple[Utterance, str]], utterances: Iterable[Utterance]) -> dict[str, str]:
    """By id, the split that an utterance was in before, known again by its file, else by its id."""
    ids = {one.id: one.id for one in utterances}
    files = {_file(one): one.id for one in utterances}
    by_id = {one.id: split for one, split in before if one.id in ids and _file(one) not in files}
    return by_id | {files[_file(one)]: split for one, split in before if _file(one) in files}


def earlier_division(out: str | Path) -> list[tuple[Utterance, str]]:
    """The utterances of the manifests in a folder, each with its split; a line that cannot be read divides nothing."""
    folder = Path(out)
    real = real_folder(folder)
    division = []
    for split in SPLITS:
        path = folder / f"{split}.jsonl"
        for _, line in manifest_lines(path) if path.exists() else ():
            with suppress(ManifestError):
                division.append((parse_line(line, folder, real), split))
    return division


def _owner(splits: Mapping[str, Sequence[Utterance]]) -> dict[str, str]:
    """The split of each recording, by its id and by its file."""
    files = {_file(one): name for name, some in splits.items() for one in some}
    return {one.id: name for name, some in splits.items() for one in some} | files


def _split_of(utterance: Utterance, owner: Mapping[str, str]) -> str:
    """The split that a recording is in from now on; "" where it is gone."""
    return owner.get(_file(utterance), owner.get(utterance.id, ""))


def _file(utterance: Utterance) -> str:
    """The audio file as it is called from anywhere."""
    return os.path.normpath(Path(utterance.audio).absolute())


def file_names(ids: Iterable[str]) -> list[str]:
    """A name for each id that any file system takes, without suffix; no two alike, in upper or lower case.

    Of ids whose names would be alike, each gets a hash of its own, whatever their order: an id that comes in front of
    another must not take over its file.
    """
    ids = list(ids)
    plain = [_plain(id) for id in ids]
    alike = Counter(map(_folded, plain))
    names: list[str] = []
    taken: set[str] = set()
    for id, name in zip(ids, plain, strict=True):
        fits = alike[_folded(name)] == 1 and len(name.encode()) <= _LONGEST_NAME
        wanted = base = name if fits else _hashed(name, id)
        uses = 1
        while _folded(wanted) in taken:  # the same id again
            uses += 1
            wanted = f"{base}-{uses}"
        taken.add(_folded(wanted))
        names.append(wanted)
    return names


def _plain(id: str) -> str:
    """An id of letters, their marks (the vowel signs of Indic scripts are such), numbers, hyphens and underscores."""
    return "".join(one if one in "-_" or unicodedata.category(one)[0] in "LMN" else "_" for one in id)


def _folded(name: str) -> str:
    """What file systems take for the same name: case, and how accents are composed, make no difference to some."""
    return unicodedata.normalize("NFC", name).casefold()


def _hashed(name: str, id: str) -> str:
    """A name of which no more is cut off than must be, with a hash of its id."""
    digest = blake2b(id.encode(), digest_size=6).hexdigest()
    return f"{name.encode()[: _LONGEST_NAME - 13].decode(errors='ignore')}-{digest}"


def refuse_division(
    out: str | Path, splits: Mapping[str, Sequence[Utterance]], dataset: Dataset, overwrite: bool = False
) -> None:
    """Make sure that `write_corpus` would write these splits; for what is to be written before the manifests.

    Raises:
        CorpusError: A split holds nothing, or without `overwrite` another division is there, or one whose recordings
            are gone but for its shards.
    """
    empty = [name for name in SPLITS if not splits.get(name)]
    if empty:
        raise CorpusError(f"{dataset.name}: no recordings left for {' and '.join(empty)}")
    if not overwrite:
        owner = _owner(splits)
        refuse_to_move(out, owner)
        refuse_to_lose(out, owner)


def write_corpus(
    out: str | Path, splits: Mapping[str, Sequence[Utterance]], dataset: Dataset, overwrite: bool = False
) -> None:
    """Write train.jsonl, valid.jsonl, test.jsonl and dataset.yaml into the folder `out`.

    Raises:
        CorpusError: As `refuse_division`; no file is written then.
    """
    refuse_division(out, splits, dataset, overwrite)
    for name in SPLITS:
        write_manifest(Path(out) / f"{name}.jsonl", splits[name])
    write_dataset(out, dataset)
