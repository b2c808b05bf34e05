"""What becomes of a training example: all that is random about it is drawn in one place, and applied in another.

The plan has drawn what decides an example's length, joins and speed. The rest is drawn by `Augmenter.draw` and applied
to the waveform by `Drawn.apply`; tones and masks go to the model with the batch, which applies them to the features.

No torch arithmetic here: this runs in loader workers, where it must give the same bits as in the training process.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import soxr

from asr.config import Config
from asr.data.filters import band_limit
from asr.data.noise import Waveform, add_noise, coloured_noise
from asr.data.reverb import Room, recorded_room, reverberate, simulated_room
from asr.data.seeding import generator
from asr.data.sounds import Sounds
from asr.data.views import Views, draw_views


def change_speed(waveform: Waveform, speed: float) -> Waveform:
    """Play a waveform `speed` times as fast; pitch moves with it (Ko et al. 2015, "Audio augmentation")."""
    if speed == 1.0 or len(waveform) == 0:
        return waveform
    changed: Waveform = soxr.resample(waveform, speed, 1.0, quality="LQ")
    return changed


def change_gain(waveform: Waveform, decibels: float) -> Waveform:
    """Change the level; what would leave [-1, 1] is clipped, as a microphone does."""
    louder: Waveform = np.clip(waveform * np.float32(10 ** (decibels / 20)), -1.0, 1.0)
    return louder


class Noise(NamedTuple):
    """Noise to be added: what it is, its sound (samples,), and how far above it the speech is."""

    name: str
    sound: Waveform
    snr_db: float


class Band(NamedTuple):
    """The band of frequencies that is left, in Hz."""

    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Drawn:
    """All that was drawn for one example, its sounds included: what is left to do is arithmetic.

    Attributes:
        views: What is done to its features.
        gain_db: Change of its level.
        room: Where it is heard; None: where it was recorded.
        noise: What is heard beside it; None: nothing.
        band: What the microphone lets through; None: all.
    """

    views: Views
    gain_db: float = 0.0
    room: Room | None = None
    noise: Noise | None = None
    band: Band | None = None

    def apply(self, waveform: Waveform, sample_rate: int) -> Waveform:
        """The example as the microphone hears it: (samples,) -> (samples,) in [-1, 1].

        The order is that of nature: speech in a room, noise beside it, a microphone that hears only a band. (What is
        added to noise is clipped there already.)
        """
        if self.room:
            waveform = reverberate(waveform, self.room)
        if self.noise:
            waveform = add_noise(waveform, self.noise.sound, self.noise.snr_db)
        if self.band:
            waveform = band_limit(waveform, sample_rate, self.band.low, self.band.high)
        return change_gain(waveform, self.gain_db)

    def __str__(self) -> str:
        """One line; of the features' views, the first."""
        parts = [self.room.name] if self.room else []
        if self.noise:
            parts.append(f"noise {self.noise.name}, {self.noise.snr_db:.1f} dB below the speech")
        if self.band:
            parts.append(f"band {self.band.low:.0f} to {self.band.high:.0f} Hz")
        parts.append(f"gain {self.gain_db:+.1f} dB")
        parts += [str(self.views)] if str(self.views) else []
        return "; ".join(parts)


class Augmenter:
    """Draws what becomes of examples.

    Args:
        config: The run's settings.
        sounds: The recordings of noise and rooms that they name.
    """

    def __init__(self, config: Config, sounds: Sounds) -> None:
        self.config = config
        self.sounds = sounds

    def draw(self, waveform: Waveform, id: str, epoch: int) -> Drawn:
        """What becomes of an example: a function of the seed, the epoch, its id, its length, and the sound files.

        Args:
            waveform: (samples,), joined and at its speed.
            id: Of the example.
            epoch: From 0.

        Raises:
            AudioError: A recording of noise or a room cannot be read.
        """
        # What is newest draws only where it is in use, so that runs of old settings are repeated to the bit.
        augment, samples = self.config.augment, len(waveform)
        rng = generator(self.config.train.seed, epoch, id)
        room = self._room(rng) if augment.reverb and rng.random() < augment.reverb else None
        noise = self._noise(waveform, rng) if rng.random() < augment.noise else None
        band = None
        if augment.band and rng.random() < augment.band:
            band = Band(rng.uniform(*augment.band_low_hz), rng.uniform(*augment.band_high_hz))
        gain_db = rng.uniform(*augment.gain_db)
        features = self.config.features
        views = 2 if self.config.train.consistency else 1
        frames = samples // features.hop + 1
        drawn = draw_views(views, frames, features.bands, features.hop_ms, augment, rng)
        return Drawn(drawn, gain_db, room, noise, band)

    def _room(self, rng: np.random.Generator) -> Room:
        if self.sounds.rooms:
            return recorded_room(*self.sounds.rooms.draw_whole(rng))
        augment = self.config.augment
        seconds, drr_db = rng.uniform(*augment.reverb_seconds), rng.uniform(*augment.reverb_drr_db)
        return simulated_room(seconds, drr_db, self.config.features.sample_rate, rng)

    def _noise(self, waveform: Waveform, rng: np.random.Generator) -> Noise:
        augment, samples = self.config.augment, len(waveform)
        snr_db = rng.uniform(*augment.noise_snr_db)
        if self.sounds.noises:
            return Noise(*self.sounds.noises.draw_stretch(samples, rng), snr_db)
        slope = rng.uniform(*augment.noise_color)
        name = f"of slope {slope:.2f}"
        if not waveform.any():  # there is nothing that noise could be below
            return Noise(name, waveform, snr_db)
        return Noise(name, coloured_noise(samples, self.config.features.sample_rate, slope, rng), snr_db)
