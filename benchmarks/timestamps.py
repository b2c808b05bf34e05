"""Word times of forced alignment against edges taken from the energy of the audio.

    python benchmarks/timestamps.py MODEL MANIFEST [--seed 0]

The manifest's clips hold a word each (FSDD's spoken digits). They are shuffled, brought to one level and joined in
fives with 0, 0.1 and 0.3 s of digital silence around each; the true text of each string is aligned. A clip's reference
edges are the first and the last 10 ms that reach -30 dB of its loudest 10 ms. Errors are in milliseconds, below zero
where a time is too early: median and 95th percentile of their size, and their signed mean. "outside" counts times
outside the audio, "disorder" times earlier than the one before; both must be 0.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from asr.audio import read_audio
from asr.data.manifest import read_manifest
from asr.decode.alignment import align
from asr.recognizer import Recognizer
from asr.transcript import Word, words_from

Waveform = npt.NDArray[np.float32]
Edges = tuple[float, float]  # seconds

TOGETHER = 5
GAPS = (0.0, 0.1, 0.3)  # seconds
WINDOW = 0.01  # seconds
FLOOR_DB = -30.0
LEVEL = 0.1  # RMS


class Joined(NamedTuple):
    """Clips one after another, their text, and where each word begins and ends."""

    waveform: Waveform
    text: str
    edges: list[Edges]


def speech_edges(waveform: Waveform, rate: int) -> Edges:
    """Where a clip's energy first and last is above `FLOOR_DB` of its loudest window."""
    size = round(WINDOW * rate)
    windows = waveform[: len(waveform) // size * size].reshape(-1, size)
    rms = np.sqrt(np.square(windows, dtype=np.float64).mean(axis=1))
    heard = np.flatnonzero(rms > rms.max() * 10 ** (FLOOR_DB / 20))
    return float(heard[0] * size / rate), float((heard[-1] + 1) * size / rate)


def joined(clips: Sequence[tuple[Waveform, str]], gap: float, rate: int) -> Joined:
    """Clips and their texts as one, `gap` seconds of silence before, between and after them."""
    silence = np.zeros(round(gap * rate), np.float32)
    parts, edges, samples = [silence], [], len(silence)
    for waveform, _ in clips:
        start, end = speech_edges(waveform, rate)
        edges.append((samples / rate + start, samples / rate + end))
        parts += [waveform / np.sqrt(np.square(waveform).mean()) * LEVEL, silence]
        samples += len(waveform) + len(silence)
    return Joined(np.concatenate(parts).clip(-1, 1), " ".join(text for _, text in clips), edges)


def described(errors: Sequence[float]) -> str:
    """Cells for errors in seconds: median and 95th percentile of their size, and their mean, in milliseconds."""
    values = 1000 * np.array(errors)
    sizes = np.abs(values)
    return f"{np.median(sizes):7.0f} {np.percentile(sizes, 95):7.0f} {values.mean():7.0f}"


def line(label: str, found: Sequence[Sequence[Word]], strings: Sequence[Joined], rate: int) -> None:
    """Print how far the times of some strings are from their edges."""
    onsets, offsets, outside, disorder = [], [], 0, 0
    for words, string in zip(found, strings, strict=True):
        times = [time for word in words for time in (word.start, word.end)]
        outside += sum(not 0 <= time <= len(string.waveform) / rate for time in times)
        disorder += sum(later < earlier for earlier, later in pairwise(times))
        for word, (start, end) in zip(words, string.edges, strict=True):
            onsets.append(word.start - start)
            offsets.append(word.end - end)
    print(f"{label:18} {described(onsets)}   {described(offsets)} {outside:8} {disorder:8}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--seed", type=int, default=0, help="of the order in which clips are joined")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    recognizer = Recognizer.load(arguments.model)
    rate, tokenizer = recognizer.sample_rate, recognizer.tokenizer
    utterances = read_manifest(arguments.manifest)
    random.Random(arguments.seed).shuffle(utterances)
    clips = [(read_audio(utterance.audio, rate), recognizer.normalizer(utterance.text)) for utterance in utterances]
    print(f"{len(clips)} clips, seed {arguments.seed}; ms of onsets, then of offsets")
    errors = f"{'median':>7} {'95 %':>7} {'mean':>7}"
    print(f"{'gap':18} {errors}   {errors} {'outside':>8} {'disorder':>8}")
    for gap in GAPS:
        strings = [joined(clips[place : place + TOGETHER], gap, rate) for place in range(0, len(clips), TOGETHER)]
        rows = recognizer.log_probs([string.waveform for string in strings])
        found = []
        for row, string in zip(rows, strings, strict=True):
            spans = align(row, tokenizer.encode(string.text))
            seconds = len(string.waveform) / rate
            found.append(words_from(spans, tokenizer.tokens, recognizer.step_seconds, seconds))
        line(f"{gap:<6}", found, strings, rate)


if __name__ == "__main__":
    main()
