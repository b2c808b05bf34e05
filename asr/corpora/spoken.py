"""A synthesised corpus in its folder: made by one fresh process a voice, found again, completed, or made anew."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from asr.corpora.common import SHARDS, SPLITS, refuse_to_move, write_corpus
from asr.corpora.processes import in_fresh_processes
from asr.corpora.shards import pack
from asr.data.manifest import Dataset, Utterance, read_manifest
from asr.errors import CorpusError

AUDIO = "audio"  # holds a folder for each speaker
VOICE = "voice.jsonl"  # in it: its manifest, written last


def speak_corpus(
    out: Path,
    recipe: dict[str, Any],
    voices: Mapping[str, str],
    owner: Mapping[str, str],
    record: Callable[..., None],
    jobs: Mapping[str, tuple[Any, ...]],
    dataset: Dataset,
    *,
    workers: int | None,
    shard_mb: float | None,
    on_progress: Callable[[int, int], None],
    overwrite: bool,
) -> dict[str, list[Utterance]]:
    """Make a corpus in the folder `out`, or find it there, made earlier by the same recipe.

    Args:
        out: Gets the manifests, dataset.yaml, recipe.json, and audio/ or shards/.
        recipe: All that decides what is made, its "corpus" among it; a folder of another one is made anew.
        voices: The split of each speaker, in the order of the manifests.
        owner: The split of each utterance's id.
        record: Called as `record(*job)` in a fresh process for each speaker; it leaves `AUDIO`/SPEAKER/`VOICE`.
        jobs: Its arguments by speaker.
        dataset: For dataset.yaml.
        workers: Processes that work at the same time; None is one a core.
        shard_mb: Size of the tar archives that the recordings end up in (see `pack`); None: they stay files.
        on_progress: Called with the voices made so far and their total.
        overwrite: Replace another division that is there already.

    Returns:
        The utterances by split.

    Raises:
        CorpusError: `out` holds something else, or another division; or a voice could not be made.
    """
    folders = {speaker: out / AUDIO / speaker for speaker in voices}
    _open_folder(out, recipe, None if overwrite else owner)
    if not (out / "dataset.yaml").exists():  # the last file to be written
        missing = [speaker for speaker, folder in folders.items() if not (folder / VOICE).exists()]
        made = len(voices) - len(missing)
        in_fresh_processes(
            record,
            [jobs[speaker] for speaker in missing],
            workers or os.cpu_count() or 1,
            on_done=lambda done: on_progress(made + done, len(voices)),
        )
        # A voice may have had nothing that could be used: its manifest is there, and empty.
        spoken = {
            speaker: read_manifest(folder / VOICE) if (folder / VOICE).stat().st_size else []
            for speaker, folder in folders.items()
        }
        splits = {
            name: [u for speaker in voices if voices[speaker] == name for u in spoken[speaker]] for name in SPLITS
        }
        if unsaid := [name for name in SPLITS if not splits[name]]:
            raise CorpusError(f"{out}: no usable recordings for {unsaid[0]}; see {AUDIO}/*/dropped.txt for the reasons")
        write_corpus(out, pack(out, splits, shard_mb) if shard_mb else splits, dataset, overwrite=True)
    if shard_mb:
        shutil.rmtree(out / AUDIO, ignore_errors=True)  # made only to be packed
    return {name: read_manifest(out / f"{name}.jsonl") for name in SPLITS}


def _open_folder(out: Path, recipe: dict[str, object], owner: Mapping[str, str] | None) -> None:
    """Leave in `out` the recipe and nothing that was made by another one.

    Raises:
        CorpusError: It holds files, but no corpus of ours; or one where an utterance is in another split than its
            `owner` (see `refuse_to_move`).
    """
    path, name = out / "recipe.json", recipe["corpus"]
    written = json.dumps(recipe, indent=2) + "\n"
    found = path.read_text(encoding="utf-8", errors="replace") if path.exists() else None
    if found == written:
        return
    if out.is_dir() and any(out.iterdir()):
        if found is None or (found and f'"corpus": "{name}"' not in found):
            raise CorpusError(f"{out}: contains files other than a {name} corpus; choose another folder")
        if owner is not None:
            refuse_to_move(out, owner)
        path.write_text("")  # whatever ends this process now, the next one finds no recipe that fits what is left
        (out / "dataset.yaml").unlink(missing_ok=True)
        shutil.rmtree(out / AUDIO, ignore_errors=True)
        shutil.rmtree(out / SHARDS, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    path.write_text(written, encoding="utf-8")
