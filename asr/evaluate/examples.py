"""Utterances that one can hear and see in the page of a report: sound, log-mel features, posteriors, words."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
import soundfile
import soxr
import torch
from numpy.typing import NDArray
from PIL import Image

from asr.audio import read_stretch
from asr.data.manifest import Utterance
from asr.errors import AudioError
from asr.evaluate.report import Result
from asr.recognizer import Recognizer
from asr.score import UtteranceScore

Waveform = NDArray[np.float32]

LONGEST = 60.0  # seconds of a recording that are carried
_SEED = 0
_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_COMPRESSION = 0.6  # enough for speech
_SHOWN_DB = 60.0  # from the loudest down; what is below is one colour
_COLOURS = 48  # of a picture: more cost bytes and show nothing
_FRAMES = 1200  # of a picture at most: neighbours are averaged beyond
_FAINTEST = 3  # per cent, of a posterior that is drawn


@dataclass(frozen=True)
class Heard:
    """A recognised word as it is written under the picture; `right` is None where that is not known."""

    word: str
    start: float
    end: float
    right: bool | None


@dataclass(frozen=True)
class Example:
    """What the page shows of one utterance.

    Attributes:
        seconds: Of the sound and of all that is drawn.
        cut: Whether the recording goes on beyond that.
        sound: MP3, mono.
        picture: PNG of the log-mel features, low bands at the bottom; the whole width is `seconds`.
        step_seconds: Of an output step.
        blank: Its posterior at each step, per cent.
        posteriors: Of the other tokens: the token, the steps at which it is not negligible, and there per cent.
        words: What was recognised, in speaking order.
    """

    seconds: float
    cut: bool
    sound: bytes
    picture: bytes
    step_seconds: float
    blank: list[int]
    posteriors: list[tuple[str, list[int], list[int]]]
    words: list[Heard]


Examples = dict[tuple[str, str], Example | AudioError]  # by the names of splits and the ids of utterances


def make_examples(recognizer: Recognizer, results: Sequence[Result], count: int) -> Examples:
    """Read some utterances again; of one that cannot be read there is the error.

    Args:
        recognizer: What recognised them.
        results: What was found.
        count: How many, of all splits together: the worst half, and as many again at random.
    """
    made: Examples = {}
    for result, utterance, item in choose(results, count):
        try:
            made[result.split.name, utterance.id] = _make(recognizer, result, utterance, item)
        except AudioError as error:
            made[result.split.name, utterance.id] = error
    return made


def choose(results: Sequence[Result], count: int) -> list[tuple[Result, Utterance, UtteranceScore]]:
    """The utterances with the most word errors, for half of the count, and others at random, always the same."""
    found = [
        (result, utterance, item)
        for result in results
        for utterance, item in zip(result.split.utterances, result.score.per_utterance, strict=True)
    ]
    by_errors = sorted(range(len(found)), key=lambda place: (-found[place][2].words.errors, place))
    worst = [place for place in by_errors[: (count + 1) // 2] if found[place][2].words.errors]
    others = sorted(set(range(len(found))) - set(worst))
    drawn = random.Random(_SEED).sample(others, min(count - len(worst), len(others)))
    return [found[place] for place in [*worst, *sorted(drawn)]]


def _make(recognizer: Recognizer, result: Result, utterance: Utterance, item: UtteranceScore) -> Example:
    rate = recognizer.sample_rate
    waveform = read_stretch(utterance.audio, 0.0, LONGEST, rate)[: round(LONGEST * rate)]
    (log_probs,) = recognizer.log_probs([waveform])
    percent = np.rint(100 * np.exp(log_probs)).astype(int)
    seconds = len(waveform) / rate
    return Example(
        seconds=seconds,
        cut=result.durations.get(item.id, utterance.duration) > LONGEST,
        sound=_mp3(waveform, rate),
        picture=_png(_features(recognizer, waveform)),
        step_seconds=recognizer.step_seconds,
        blank=percent[:, recognizer.tokenizer.blank].tolist(),
        posteriors=_posteriors(percent, recognizer.tokenizer.tokens, recognizer.tokenizer.blank),
        words=[word for word in _words(result, item) if word.start < seconds],
    )


def _words(result: Result, item: UtteranceScore) -> list[Heard]:
    right: Sequence[bool | None] = item.correct
    if (words := result.words(item)) is None:
        words = result.recognised.get(item.id, ())
        right = [None] * len(words)
    return [Heard(word.word, word.start, word.end, fine) for word, fine in zip(words, right, strict=True)]


def _posteriors(percent: NDArray[np.int_], tokens: Sequence[str], blank: int) -> list[tuple[str, list[int], list[int]]]:
    """Only where there is something to be seen: almost everywhere almost all is blank."""
    found = []
    for number, token in enumerate(tokens):
        steps = np.flatnonzero(percent[:, number] >= _FAINTEST)
        if number != blank and len(steps):
            found.append((token, steps.tolist(), percent[steps, number].tolist()))
    return found


def _mp3(waveform: Waveform, rate: int) -> bytes:
    """The sound at the model's rate, or the next higher that MP3 knows."""
    allowed = next((other for other in _MP3_RATES if other >= rate), _MP3_RATES[-1])
    if allowed != rate:
        waveform = soxr.resample(waveform, rate, allowed)
    file = io.BytesIO()
    soundfile.write(
        file,
        np.clip(waveform, -1, 1),
        allowed,
        format="MP3",
        subtype="MPEG_LAYER_III",
        compression_level=_COMPRESSION,
        # Its header says where the sound begins. At constant low rates LAME has no room for one, and players are late.
        bitrate_mode="VARIABLE",
    )
    return file.getvalue()


@torch.inference_mode()
def _features(recognizer: Recognizer, waveform: Waveform) -> NDArray[np.float32]:
    """Log-mel features (frames, mels) as the model takes them, before normalisation, in decibels."""
    lengths = torch.tensor([len(waveform)], device=recognizer.device)
    features, _ = recognizer.file.model.raw_features(torch.from_numpy(waveform)[None].to(recognizer.device), lengths)
    decibels: NDArray[np.float32] = features[0].cpu().numpy() * np.float32(10 / np.log(10))
    return decibels


def _png(decibels: NDArray[np.floating[Any]]) -> bytes:
    """Features (frames, mels) as a picture, a pixel each or less."""
    if (together := -(-len(decibels) // _FRAMES)) > 1:
        starts = np.arange(0, len(decibels), together)
        decibels = np.add.reduceat(decibels, starts) / np.diff([*starts, len(decibels)])[:, None]
    shown = np.clip((decibels - decibels.max()) / _SHOWN_DB + 1, 0, 1)
    levels = np.rint((_COLOURS - 1) * shown).astype(np.uint8)
    image = Image.fromarray(np.ascontiguousarray(levels.T[::-1]))
    palette = matplotlib.colormaps["magma"](np.linspace(0, 1, _COLOURS))[:, :3]
    image.putpalette(np.rint(255 * palette).astype(np.uint8).tobytes())
    file = io.BytesIO()
    image.save(file, format="PNG", optimize=True)
    return file.getvalue()
