"""LibriSpeech: read English (Panayotov et al., ICASSP 2015; openslr.org/12), or any corpus in its layout.

The layout is SUBSET/SPEAKER/CHAPTER/, each chapter a `SPEAKER-CHAPTER.trans.txt` with a line `ID TEXT` an utterance
and an audio file `ID.flac` (or another format) for each. No id stands in two chapters. A split is a list of subsets, or
a list of utterance ids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from asr.audio import AUDIO_SUFFIXES
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
from asr.corpora.download import Archive
from asr.data.manifest import Dataset, Utterance
from asr.errors import CorpusError

DEFAULT_SUBSETS = {"train": ("train-clean-100",), "valid": ("dev-clean",), "test": ("test-clean",)}
ATTRIBUTION = "LibriSpeech ASR corpus, Vassil Panayotov et al. 2015, openslr.org/12, from LibriVox recordings"


_SHA256 = {  # as torchaudio has them, which has fetched these archives for years
    "dev-clean": "76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3",
    "dev-other": "12661c48e8c3fe1de2c1caa4c3e135193bfb1811584f11f569dd12645aa84365",
    "test-clean": "39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23",
    "test-other": "d09c181bba5cf717b3dee7d4d592af11a3ee3a09e08ae025c5506f6ebe961c29",
    "train-clean-100": "d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2",
    "train-clean-360": "146a56496217e96c14334a160df97fffedd6e0a04e66b9c5af0d40be3c792ecf",
    "train-other-500": "ddb22f27f96ec163645d53215559df6aa36515f26e01dd70798188350adcb6d2",
}


class Index(NamedTuple):
    """What the folders hold, by utterance id; a sound corpus has the same ids in `texts` and `audio`.

    Attributes:
        texts: Transcripts.
        audio: Recordings.
        lines: Where each transcript stands, as `19-198.trans.txt:3`.
        chapters: The folder that an id stands in.
        twice: Two of the places of an id that stands in several.
    """

    texts: dict[str, str]
    audio: dict[str, Path]
    lines: dict[str, str]
    chapters: dict[str, Path]
    twice: dict[str, str]


def prepare(
    source: str | Path,
    out: str | Path,
    subsets: Mapping[str, Sequence[str]] | None = None,
    ids: str | Path | None = None,
    on_error: OnError = stop,
    on_progress: OnProgress = be_silent,
    overwrite: bool = False,
) -> dict[str, list[Utterance]]:
    """Write the manifests of splits given as subsets or as lists of utterance ids.

    Args:
        source: The folder LibriSpeech/, or the one above it.
        out: Folder for the manifests and dataset.yaml.
        subsets: The subsets of train, valid and test; those of `DEFAULT_SUBSETS` where a split is not named.
        ids: Instead, a folder with train.txt, valid.txt and test.txt, one utterance id a line.
        on_error: Called with the error of each unreadable file, which is left out; by default the first is raised.
        on_progress: Called after each recording with the number done and the number of all.
        overwrite: Replace another division that is there already.

    Returns:
        The utterances of train, valid and test.

    Raises:
        CorpusError: The folder is not this corpus, a subset or id is not in it, two splits name the same one, an id
            is in it twice, or transcripts lack their audio or audio its transcript; or another division is there
            already.
        AudioError: A file cannot be read, and `on_error` is the default.
    """
    root = corpus_folder(source_folder(source))
    if ids is not None and subsets:
        raise CorpusError("give splits either by subsets or by id lists, not both")
    if ids is not None:
        index, wanted = _by_ids(root, Path(ids))
    else:
        index, wanted = _by_subsets(root, DEFAULT_SUBSETS | dict(subsets or {}))
    _require_complete(root, index, wanted)
    seconds = durations([index.audio[id] for chosen in wanted.values() for id in chosen], on_error, on_progress)
    splits = {
        split: [
            Utterance(id, str(index.audio[id]), index.texts[id], seconds[index.audio[id]], _speaker(index, id))
            for id in chosen
            if index.audio[id] in seconds
        ]
        for split, chosen in wanted.items()
    }
    # The subsets are the corpus' own: a sentence that two of them share ("yes") is declared. Lists must answer for it.
    shared = ("text",) if ids is None and "text" in shared_between(splits) else ()
    name = "LibriSpeech" if ids is None else "LibriSpeech excerpt"
    write_corpus(out, splits, Dataset(name, "CC BY 4.0", ATTRIBUTION, shared), overwrite)
    return splits


def corpus_folder(source: Path) -> Path:
    """The folder that holds the subsets: the source, or LibriSpeech/ in it."""
    return source / "LibriSpeech" if (source / "LibriSpeech").is_dir() else source


def archives(subsets: Mapping[str, Sequence[str]] | None = None) -> list[Archive]:
    """What to fetch from OpenSLR for splits of these subsets; those of `DEFAULT_SUBSETS` where a split is not named.

    Raises:
        CorpusError: A subset is none of LibriSpeech's.
    """
    names = [name for some in (DEFAULT_SUBSETS | dict(subsets or {})).values() for name in some]
    if unknown := [name for name in names if name not in _SHA256]:
        raise CorpusError(f"subset {few(unknown)} cannot be downloaded; LibriSpeech has {', '.join(_SHA256)}")
    url = "https://www.openslr.org/resources/12"
    return [Archive(f"{url}/{name}.tar.gz", "LibriSpeech", (name,), _SHA256[name]) for name in names]


def _by_subsets(root: Path, subsets: Mapping[str, Sequence[str]]) -> tuple[Index, dict[str, list[str]]]:
    """What the subsets hold, and all their ids for each split."""
    names = [name for split in SPLITS for name in subsets[split]]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise CorpusError(f"subset {few(repeated)} is given twice; each subset belongs to one split")
    present = _subsets(root)
    missing = [name for name in names if name not in present]
    if missing:
        raise CorpusError(f"{root}: no subset {few(missing)}; it contains {', '.join(present)}")
    index = _index(root, names)
    split_of = {root / name: split for split in SPLITS for name in subsets[split]}
    wanted: dict[str, list[str]] = {split: [] for split in SPLITS}
    for id in sorted(index.texts.keys() | index.audio.keys()):
        wanted[split_of[index.chapters[id].parent.parent]].append(id)
    return index, wanted


def _by_ids(root: Path, folder: Path) -> tuple[Index, dict[str, list[str]]]:
    """What all subsets hold, and the ids that train.txt, valid.txt and test.txt list."""
    wanted: dict[str, list[str]] = {}
    owner: dict[str, Path] = {}
    for split in SPLITS:
        path = folder / f"{split}.txt"
        wanted[split] = read_text(path).split()
        for id in wanted[split]:
            if id in owner:
                raise CorpusError(f"{path}: duplicate id {id} (first in {owner[id]})")
            owner[id] = path
    return _index(root, _subsets(root)), wanted


def _subsets(root: Path) -> list[str]:
    """The names of the folders that hold transcripts two levels down.

    Raises:
        CorpusError: There is none, so this is another corpus.
    """
    names = [
        folder.name
        for folder in sorted(root.iterdir())
        if folder.is_dir() and next(folder.glob("*/*/*.trans.txt"), None)
    ]
    if not names:
        raise CorpusError(f"{root}: not LibriSpeech: no SUBSET/SPEAKER/CHAPTER/*.trans.txt below it")
    return names


def _index(root: Path, subsets: Sequence[str]) -> Index:
    """The transcripts and audio files of some subsets; of two formats of one utterance the first by name counts."""
    index = Index({}, {}, {}, {}, {})
    for subset in subsets:
        for path in sorted((root / subset).glob("*/*/*")):
            if path.name.endswith(".trans.txt"):
                _add_transcripts(index, path)
            elif path.suffix.lower() in AUDIO_SUFFIXES:
                _add_chapter(index, path.stem, path)
                index.audio.setdefault(path.stem, path)
    return index


def _add_transcripts(index: Index, path: Path) -> None:
    """Add the texts of one file."""
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        id, _, text = line.partition(" ")
        if not text.strip():
            continue
        if id in index.lines:
            index.twice.setdefault(id, f"{index.lines[id]} and {path}:{number}")
        _add_chapter(index, id, path)
        index.lines.setdefault(id, f"{path}:{number}")
        index.texts[id] = text.strip()


def _add_chapter(index: Index, id: str, path: Path) -> None:
    """Note the chapter of an id that a file names."""
    if index.chapters.setdefault(id, path.parent) != path.parent:
        index.twice.setdefault(id, f"{index.chapters[id]} and {path}")


def _speaker(index: Index, id: str) -> str:
    """The name of the SPEAKER folder."""
    return index.chapters[id].parent.name


def _require_complete(root: Path, index: Index, wanted: Mapping[str, Sequence[str]]) -> None:
    """Refuse utterances that are unknown, stand in several places, or lack their audio or their transcript.

    Raises:
        CorpusError: There are such; the message names a few of each kind and counts them.
    """
    ids = [id for chosen in wanted.values() for id in chosen]
    if twice := [f"{id} in {index.twice[id]}" for id in ids if id in index.twice]:
        raise CorpusError(
            f"{root}: utterance ids must be unique, but {len(twice):,} occur in several places: "
            f"{few(twice, 1)}; begin each id with its speaker and chapter, such as 19-198-0000"
        )
    without = {
        "neither audio nor transcript": [id for id in ids if id not in index.texts and id not in index.audio],
        "no audio": [id for id in ids if id in index.texts and id not in index.audio],
        "no transcript": [id for id in ids if id not in index.texts and id in index.audio],
    }
    found = [f"{len(some)} with {what} ({few(some)})" for what, some in without.items() if some]
    if found:
        raise CorpusError(f"{root}: {len(ids)} utterances wanted, {', '.join(found)}")
