"""What augmentation does to the features of an example: a tone, and SpecAugment's masks; applied in the model.

No torch arithmetic here: see `asr.data.augment`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from asr.config import AugmentConfig

Spans = NDArray[np.int64]


class Views(NamedTuple):
    """What is done to an example's features, once for each view that training takes of it.

    Attributes:
        tones: (views, mels) float32 to be added to the log-mel features.
        time_masks: (views, masks, 2) frames [start, end) to blank out.
        mel_masks: (views, masks, 2) mel bands [start, end) to blank out.
    """

    tones: NDArray[np.float32]
    time_masks: Spans
    mel_masks: Spans

    def __str__(self) -> str:
        """The first view on one line, masks of no width left out; empty where nothing is done."""
        tone = float(np.sqrt(np.mean(np.square(self.tones[0])))) * 10 / np.log(10)
        parts = [f"tone {tone:.1f} dB"] if tone else []
        for name, masks in (("frames", self.time_masks[0]), ("mel bands", self.mel_masks[0])):
            spans = ", ".join(f"{start}-{end}" for start, end in sorted(masks.tolist()) if end > start)
            parts += [f"masks over {name} {spans}"] if spans else []
        return "; ".join(parts)


def plain_view(mels: int) -> Views:
    """One view in which nothing is changed."""
    unmasked = np.zeros((1, 0, 2), np.int64)
    return Views(np.zeros((1, mels), np.float32), unmasked, unmasked)


def draw_views(
    count: int, frames: int, mels: int, hop_ms: float, config: AugmentConfig, rng: np.random.Generator
) -> Views:
    """Tones and masks of so many frames, for each of some views."""
    views = []
    for _ in range(count):
        tone = draw_tone(mels, config.tone_db, rng)
        views.append((tone, *draw_masks(frames, mels, hop_ms, config, rng)))
    return Views(*(np.stack(parts) for parts in zip(*views, strict=True)))


def stacked(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Tones or masks of several examples, (examples, views, ...); masks of no width fill up where some have fewer."""
    most = max(part.shape[1] for part in parts)
    lacking = [[(0, 0), (0, most - part.shape[1]), *[(0, 0)] * (part.ndim - 2)] for part in parts]
    return np.stack([np.pad(part, widths) for part, widths in zip(parts, lacking, strict=True)])


def draw_tone(mels: int, spread_db: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """A smooth random frequency response, as of another microphone or room.

    Args:
        mels: Mel bands.
        spread_db: Standard deviation of a band's change, in the mean of the bands (more at both ends).
        rng: Where it comes from.

    Returns:
        (mels,) change of the log-mel features, natural logarithm of power; about zero on average over the bands.
    """
    bands = (np.arange(mels) + 0.5) / mels
    waves = np.cos(np.pi * np.outer(np.arange(1, 5), bands))  # half a wave to two waves over the whole range
    curve = rng.standard_normal(4) @ waves * np.sqrt(2 / 4)
    tone: NDArray[np.float32] = (curve * spread_db * np.log(10) / 10).astype(np.float32)
    return tone


def draw_masks(
    frames: int, mels: int, hop_ms: float, config: AugmentConfig, rng: np.random.Generator
) -> tuple[Spans, Spans]:
    """SpecAugment's masks for one example (Park et al. 2019, section 2).

    With `time_mask_every`, long examples get more of them (Park et al. 2020, "SpecAugment on Large Scale Datasets",
    section 2.2: adaptive multiplicity).

    Returns:
        Spans in time (masks, 2) and over mel bands (mel_masks, 2), each row [start, end).
    """
    longest = min(config.time_mask_ms / hop_ms, config.time_mask_share * frames)
    count = config.time_masks
    if config.time_mask_every:
        count = max(count, int(frames * hop_ms / 1000 / config.time_mask_every))
    return (
        _spans(count, int(longest), frames, rng),
        _spans(config.mel_masks, min(config.mel_mask_bands, mels), mels, rng),
    )


def _spans(count: int, longest: int, size: int, rng: np.random.Generator) -> Spans:
    widths = rng.integers(0, longest + 1, count)
    starts = rng.integers(0, size - widths + 1)
    return np.stack([starts, starts + widths], axis=-1)
