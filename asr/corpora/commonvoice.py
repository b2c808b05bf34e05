"""Mozilla's Common Voice: people read sentences in one of a hundred languages; commonvoice.mozilla.org.

A release holds a folder for each language, with clips/ (MP3) and train.tsv, dev.tsv and test.tsv. Those splits are
Common Voice's own: no speaker and, but for rare cases, no sentence is in two of them. In its tables a quotation mark is
text like any other.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from asr.archive import size
from asr.corpora.common import (
    OnError,
    OnProgress,
    be_silent,
    durations,
    few,
    shared_between,
    source_folder,
    stop,
    write_corpus,
)
from asr.corpora.table import Row, complete, read_table
from asr.data.manifest import Dataset, Utterance
from asr.errors import CorpusError

TABLES = {"train": "train.tsv", "valid": "dev.tsv", "test": "test.tsv"}
KEPT = ("age", "gender", "accents", "accent", "variant")  # what figures may be asked by; `accent` in older releases


def prepare(
    source: str | Path,
    out: str | Path,
    on_error: OnError = stop,
    on_progress: OnProgress = be_silent,
    overwrite: bool = False,
) -> dict[str, list[Utterance]]:
    """Write the manifests of a language's official splits.

    Args:
        source: The folder of a language, as cv-corpus-17.0-2024-03-15/cy.
        out: Folder for the manifests and dataset.yaml.
        on_error: Called with the error of each row or recording that cannot be used, which is left out; by default
            the first is raised.
        on_progress: Called after each recording with the number done and the number of all.
        overwrite: Replace another division that is there already.

    Returns:
        The utterances of train, valid and test, with the fields of `KEPT` that a row fills in.

    Raises:
        CorpusError: The folder is not that of a language, a table cannot be used or lacks its speakers, no recording
            is there, or another division is there already.
        AudioError: A recording cannot be read, and `on_error` is the default.
    """
    folder = source_folder(source)
    _require_language(folder)
    met: dict[str, Row] = {}
    rows = {split: _once(_rows(folder / name, on_error), met, on_error) for split, name in TABLES.items()}
    clips = {row.place: folder / "clips" / row.audio for some in rows.values() for row in some}
    if not any(size(path) is not None for path in clips.values()):
        raise CorpusError(f"{folder / 'clips'}: none of the {len(clips):,} recordings in the tables exists")
    places = {path: place for place, path in clips.items()}
    seconds = durations(list(places), on_error, on_progress, places)
    splits = {
        split: [
            Utterance(path.stem, str(path), row.text, seconds[path], row.speaker, dict(row.extra))
            for row in some
            if (path := clips[row.place]) in seconds
        ]
        for split, some in rows.items()
    }
    shared = ("text",) if "text" in shared_between(splits) else ()  # never speakers: the corpus says it has no such
    write_corpus(out, splits, _dataset(folder, shared), overwrite)
    return splits


def _require_language(folder: Path) -> None:
    """Make sure that a folder is that of a language, with recordings.

    Raises:
        CorpusError: It is not; where it holds such folders, the message names some.
    """
    missing = [name for name in ("clips", *TABLES.values()) if not (folder / name).exists()]
    if not missing:
        return
    languages = [path.parent.name for path in sorted(folder.glob("*/train.tsv"))]
    if languages:
        raise CorpusError(
            f"{folder}: contains {few(languages)}; name one of these folders, such as {folder / languages[0]}"
        )
    raise CorpusError(f"{folder}: not a Common Voice language folder: no {few(missing, len(missing))} in it")


def _rows(table: Path, on_error: OnError) -> list[Row]:
    """The usable rows of a table, with no other extra fields than those of `KEPT`.

    Raises:
        CorpusError: The table cannot be used, or has no speakers: then nobody knows what its splits share.
    """
    rows = [
        replace(row, extra={name: row.extra[name] for name in KEPT if name in row.extra})
        for row in complete(read_table(table, on_error), on_error)
    ]
    if nameless := [row.place for row in rows if not row.speaker]:
        raise CorpusError(f"{nameless[0]}: no client_id, which identifies the speaker")
    return rows


def _once(rows: Iterable[Row], met: dict[str, Row], on_error: OnError) -> list[Row]:
    """The rows of a table whose clip none before has; a row that is the same as one before in its table is no error."""
    found: dict[str, Row] = {}
    for row in rows:
        clip = Path(row.audio).stem
        first = met.setdefault(clip, row)
        if first is row:
            found[clip] = row
        elif clip not in found or replace(row, place=first.place) != first:
            other = ", with a different text" if row.text != first.text else ""
            on_error(CorpusError(f"{row.place}: duplicate clip {row.audio} (first in {first.place}{other})"))
    return list(found.values())


def _dataset(folder: Path, shared: tuple[str, ...]) -> Dataset:
    language, release = folder.resolve().name, folder.resolve().parent.name
    named = f", {release}" if release.startswith("cv-corpus") else ""
    return Dataset(
        name=f"Common Voice {language}{named}",
        license="CC0-1.0",
        attribution="Common Voice, Mozilla Foundation and the people who speak in it, commonvoice.mozilla.org",
        shared=shared,
    )
