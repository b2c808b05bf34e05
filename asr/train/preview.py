"""Training examples as files: to be listened to and looked at, before a model spends hours on them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from asr.atomic import replacing
from asr.audio import probe, write_wav
from asr.config import Config
from asr.data.dataset import SpeechData
from asr.data.manifest import Utterance
from asr.data.noise import Waveform
from asr.data.plan import Example, epoch_plan
from asr.data.views import Views
from asr.errors import AudioError
from asr.model.acoustic import AcousticModel
from asr.text import Normalizer

Features = NDArray[np.float32]

_MASK = "#c9d6df"  # no colour of the features
_DECIBELS = 10 / np.log(10)  # of a natural logarithm of power
_SHOWN_DB = 60.0  # from the loudest down; what is below is one colour


@dataclass(frozen=True)
class Written:
    """An example that was written: its WAV file and what was drawn for it; or what is wrong with its recording."""

    path: Path
    drawn: str = ""
    error: str = ""


def write_examples(
    files: Sequence[Path], stems: Sequence[Path], config: Config, count: int, out: Path
) -> Iterator[Written]:
    """Write recordings as the first epochs of a training would hear them, by the code that training runs.

    Of each recording there are, in its place under `out`, STEM-original.wav at the model's rate, and for each epoch
    from 1 STEM-EPOCH.wav with STEM-EPOCH.png, its features with the masks of SpecAugment. Tone and masks are in the
    picture only, since they are made to features. No recordings are joined: nobody said who speaks.
    Speeds are drawn for all of them together, as in training: in other company a recording has another.

    Args:
        files: The recordings.
        stems: A relative path without ending for each; the last part is the utterance's id, on which draws depend.
        config: All settings; `train.seed` decides the draws too.
        count: Epochs.
        out: A folder.

    Yields:
        What was written, in the order of the recordings, or why it was not.

    Raises:
        AudioError: A recording of noise or a room cannot be read.
    """
    readable: dict[Path, Utterance] = {}
    for file, stem in zip(files, stems, strict=True):
        try:
            readable[stem] = Utterance(stem.name, str(file), "", probe(file).duration, None)
        except AudioError as error:
            yield Written(file, error=str(error))
    if not readable:
        return
    config = config.model_copy(update={"batches": config.batches.model_copy(update={"cache_mb": 0})})
    data = SpeechData(list(readable.values()), config, Normalizer.from_config(config.text), None)
    plans = [_by_recording(data, config, epoch) for epoch in range(count)]
    model = AcousticModel(config, vocabulary=2)  # for its features
    for position, stem in enumerate(readable):
        try:
            yield from _write(data, model, [plan[position] for plan in plans], out / stem)
        except AudioError as error:
            yield Written(out / stem, error=str(error))


def _by_recording(data: SpeechData, config: Config, epoch: int) -> list[Example]:
    """The examples of an epoch, in the order of the recordings."""
    plan = epoch_plan(data.items, config, config.train.seed, epoch)
    return sorted((example for batch in plan for example in batch), key=lambda example: example.members)


def _write(data: SpeechData, model: AcousticModel, examples: Sequence[Example], stem: Path) -> Iterator[Written]:
    """One recording in all its epochs."""
    rate = data.config.features.sample_rate
    original = data.make(replace(examples[0], speed=1.0), epoch=None).waveform
    stem.parent.mkdir(parents=True, exist_ok=True)
    _write_wav(Path(f"{stem}-original.wav"), original, rate)
    before = _decibels(model, original)
    for epoch, example in enumerate(examples):
        made = data.make(example, epoch)
        drawn = f"speed {example.speed:.2f}; {made.drawn}"
        path = Path(f"{stem}-{epoch + 1}.wav")
        _write_wav(path, made.waveform, rate)
        figure = _figure(before, _decibels(model, made.waveform), made.drawn.views, data.config.features.hop_ms)
        figure.suptitle("\n".join(textwrap.wrap(f"{path.name}: {drawn}", 150)), fontsize=9, x=0.01, ha="left")
        with replacing(path.with_suffix(".png")) as aside:
            figure.savefig(aside, dpi=110, format="png")
        yield Written(path, drawn)


def _write_wav(path: Path, waveform: Waveform, rate: int) -> None:
    with replacing(path) as aside:
        write_wav(aside, waveform, rate)


@torch.inference_mode()
def _decibels(model: AcousticModel, waveform: Waveform) -> Features:
    """Log-mel features (frames, mels) as the model takes them, before normalisation, in decibels."""
    features, _ = model.raw_features(torch.from_numpy(waveform)[None], torch.tensor([len(waveform)]))
    decibels: Features = features[0].numpy() * _DECIBELS
    return decibels


def _figure(before: Features, after: Features, views: Views, hop_ms: float) -> Figure:
    """The recording's features above, and below them the example's, once for each view with its tone and masks."""
    count = len(views.tones)
    figure = Figure(figsize=(11, 2.2 + 2 * count), layout="constrained")
    axes = figure.subplots(count + 1, 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    labels = ["the recording", *(f"view {view + 1}" if count > 1 else "the example" for view in range(count))]
    panels = [before, *(after + tone * np.float32(_DECIBELS) for tone in views.tones)]
    loudest = max(float(panel.max()) for panel in panels)
    for axis, features, label in zip(axes, panels, labels, strict=True):
        image = axis.imshow(
            features.T,
            origin="lower",
            aspect="auto",
            extent=(0, len(features), 0, len(features.T)),
            cmap="magma",
            vmin=loudest - _SHOWN_DB,
            vmax=loudest,
        )
        axis.set_ylabel(f"{label}\nmel band")
        axis.spines[["top", "right"]].set_visible(False)
    for axis, over_time, over_mels in zip(axes[1:], views.time_masks, views.mel_masks, strict=True):
        for start, end in over_time:
            _mask(axis, (start, 0), end - start, after.shape[1])
        for start, end in over_mels:
            _mask(axis, (0, start), len(after), end - start)
    axes[-1].set_xlim(0, max(len(before), len(after)))
    axes[-1].set_xlabel(f"frame of {hop_ms:g} ms")
    figure.colorbar(image, ax=axes, label="dB", aspect=30, pad=0.01)
    return figure


def _mask(axis: Axes, corner: tuple[float, float], width: float, height: float) -> None:
    axis.add_patch(Rectangle(corner, width, height, facecolor=_MASK, linewidth=0))
