"""What a model remembers of the recordings that it was made with, so that evaluations can tell that it has heard them.

The fingerprints are taken once, before the first step, by all processes together, and kept in the run folder: a run
that goes on need not read all audio again, nor have the model at hand that it started from.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from asr.atomic import replacing
from asr.data.dataset import SpeechData, too_many_unreadable
from asr.data.fingerprints import PRINT, Prints, from_json, make_print, speaker_hashes, to_json
from asr.errors import AudioError, TrainingError
from asr.model.file import MODEL_NAME, load_model
from asr.train.group import Group

Heard = dict[str, dict[str, str]]
FILE = "heard.json"


def remember(
    folder: Path,
    training: SpeechData,
    validation: SpeechData,
    dataset: str,
    before: Heard | None,
    group: Group,
    say: Callable[[str], None] = lambda _: None,
) -> Heard:
    """The fingerprints of a run's recordings, for its model files.

    Args:
        folder: The run folder.
        training: The training set.
        validation: The validation set.
        dataset: Name of the data set, whose speakers they are.
        before: What the model that the run starts from remembers: all of it counts as heard in training. None: the run
            goes on, and what the folder holds is taken as it is: the file or, where that is lost, what the model has.
        group: The processes of the run.
        say: Hears of it where all audio is read from disk for this, which may take an hour of thousands.

    Raises:
        AudioError: More recordings cannot be read than are tolerated, and of the validation set not one may be.
        TrainingError: The folder's file is damaged.
    """
    kept: Heard | None = group.led(lambda: _kept(folder) if before is None else None)
    if kept is not None:
        return kept
    if training.waveforms.cache is None:
        hours = sum(one.duration for one in training.waveforms.utterances) / 3600
        say(f"computing fingerprints of {hours:,.0f} hours of recordings, once; train.remember=false skips this")
    heard = {}
    for name, data, earlier in (("train", training, (before or {}).values()), ("valid", validation, ())):
        recordings, speakers = [take(data, group)], speaker_hashes(dataset, data.waveforms.utterances)
        for record in earlier:
            older, voices = from_json(record)
            recordings, speakers = [*recordings, older], speakers | voices
        heard[name] = to_json(np.concatenate(recordings), speakers)
    group.led(lambda: _write(folder / FILE, heard))
    return heard


def take(data: SpeechData, group: Group) -> Prints:
    """The fingerprints of a set, each process taking its share; recordings that cannot be read have none.

    Raises:
        AudioError: Those are more than the set tolerates: better now than in the middle of an epoch.
    """
    rate = data.config.features.sample_rate

    def one(place: int) -> Prints | str:
        try:
            return make_print(data.items[place].id, data.waveforms[place], rate)
        except AudioError as error:
            return str(error)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        mine = list(pool.map(one, range(group.rank, len(data.items), group.size)))
    found = group.gather(mine)
    unreadable = [error for error in found if isinstance(error, str)]
    if len(unreadable) > data.tolerated:
        raise too_many_unreadable(unreadable, data.tolerated)
    return np.concatenate([np.zeros(0, PRINT), *(one for one in found if not isinstance(one, str))])


def _kept(folder: Path) -> Heard | None:
    """What a run folder remembers; None where it has neither the file nor a model."""
    if (heard := _read(folder / FILE)) is not None or not (folder / MODEL_NAME).exists():
        return heard
    heard = load_model(folder).heard  # that of the start is in it too, and of that model nothing else may be left
    return {name: one for name, one in heard.items() if name != "tune"} or None


def _read(file: Path) -> Heard | None:
    try:
        heard: Heard = json.loads(file.read_text(encoding="utf-8"))
        for record in heard.values():
            from_json(record)
    except FileNotFoundError:
        return None
    except (ValueError, AttributeError):
        raise TrainingError(
            f"{file}: damaged; delete it, and --resume uses the fingerprints in the run's model"
        ) from None
    return heard


def _write(file: Path, heard: Heard) -> None:
    with replacing(file) as aside:
        aside.write_text(json.dumps(heard, sort_keys=True) + "\n", encoding="utf-8")
