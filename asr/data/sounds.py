"""Recordings of noise and of rooms that augmentation mixes into speech: found, checked, read in stretches."""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr.audio import AUDIO_SUFFIXES, find_audio, probe, read_audio, read_stretch
from asr.config import Config
from asr.data.noise import Waveform
from asr.errors import AudioError
from asr.wording import how_long

_SHORT_SECONDS = 10.0  # longer files are not decoded whole, nor kept
_CACHE_BYTES = 32_000_000  # in each loader process; 17 minutes at 16 kHz
_THREADS = 8
_SHOWN = 3  # files in one message


@dataclass(frozen=True)
class SoundFile:
    """A recording: its name in the folder or list, its path, its size in bytes and its length in seconds."""

    name: str
    path: Path
    bytes: int
    seconds: float


class SoundFiles:
    """Recordings to draw from, sorted by name, so that a draw depends on nothing but them and the generator.

    A stretch of a long file is read from its place and forgotten: that costs the same however long the file is (but in
    MP3, which must be decoded up to it: long ones are better converted). Short files are decoded whole, and the last
    ones used are kept as 16-bit samples, in each process for itself.

    Args:
        setting: What names them, for messages.
        source: A folder, searched to the bottom; a text file with a path a line, relative to it; or one audio file.
        sample_rate: Hz, of what is read.

    Raises:
        AudioError: There are none, or some cannot be read. All are looked at, but only at their headers.
    """

    def __init__(self, setting: str, source: str, sample_rate: int) -> None:
        self.setting = setting
        self.sample_rate = sample_rate
        try:
            self.files = _checked(_listed(Path(source)))
        except AudioError as error:
            raise AudioError(f"{setting}: {error}") from None
        self._kept: OrderedDict[Path, NDArray[np.int16]] = OrderedDict()

    def __str__(self) -> str:
        """How much there is."""
        return f"{self.setting}: {len(self.files):,} files, {how_long(sum(file.seconds for file in self.files))}"

    @property
    def lines(self) -> list[str]:
        """What decides the draws, a line a file: name, size and length."""
        return [f"{self.setting}\t{file.name}\t{file.bytes}\t{file.seconds:.3f}" for file in self.files]

    def draw_stretch(self, samples: int, rng: np.random.Generator) -> tuple[str, Waveform]:
        """A random stretch of a random file.

        Args:
            samples: How long; a file that is shorter is repeated.
            rng: Decides which.

        Returns:
            What it is, for readers; float32 (samples,), at a level of its own.

        Raises:
            AudioError: The file is damaged where only decoding shows it, or no longer there.
        """
        file, place = self._any(rng), rng.random()
        seconds = samples / self.sample_rate
        if file.seconds > max(seconds, _SHORT_SECONDS):
            start = place * (file.seconds - seconds)
            stretch = np.resize(read_stretch(file.path, start, seconds, self.sample_rate), samples)
        else:
            sound = self._whole(file)
            first = int(place * (len(sound) if len(sound) < samples else len(sound) - samples + 1))
            stretch = np.take(sound, np.arange(first, first + samples), mode="wrap")
            start = first / self.sample_rate
        return f"{file.name} from {start:.2f} s", stretch

    def draw_whole(self, rng: np.random.Generator) -> tuple[str, Waveform]:
        """A random file, whole; see `draw_stretch`."""
        file = self._any(rng)
        return file.name, self._whole(file)

    def _any(self, rng: np.random.Generator) -> SoundFile:
        return self.files[int(rng.integers(len(self.files)))]

    def _whole(self, file: SoundFile) -> Waveform:
        """All of a file, its peak at 1 (for 16 bits are few for what is quiet); the same bits kept or not."""
        samples = self._kept.pop(file.path, None)
        if samples is None:
            sound = read_audio(file.path, self.sample_rate)
            peak = float(np.abs(sound).max()) or 1.0
            samples = np.rint(sound * (32767 / peak)).astype(np.int16)
        if file.seconds <= _SHORT_SECONDS:
            self._kept[file.path] = samples  # as the last one used
            while sum(kept.nbytes for kept in self._kept.values()) > _CACHE_BYTES:
                self._kept.popitem(last=False)
        return samples.astype(np.float32) / np.float32(32767)


@dataclass(frozen=True)
class Sounds:
    """The recordings that a config mixes in; None where what it needs is made, or nothing is needed."""

    noises: SoundFiles | None = None
    rooms: SoundFiles | None = None

    @classmethod
    def of(cls, config: Config) -> Sounds:
        """Those that the config names.

        Raises:
            AudioError: See `SoundFiles`.
        """
        augment, rate = config.augment, config.features.sample_rate
        return cls(
            SoundFiles("augment.noise_files", augment.noise_files, rate) if augment.noise_files else None,
            SoundFiles("augment.reverb_files", augment.reverb_files, rate) if augment.reverb_files else None,
        )

    @property
    def given(self) -> list[SoundFiles]:
        """Those that are there."""
        return [files for files in (self.noises, self.rooms) if files]


def _listed(source: Path) -> dict[str, Path]:
    """Files by name, sorted: those in a folder, or in a list."""
    if source.is_dir():
        return {file.relative_to(source).as_posix(): file for file in find_audio([source])}
    if source.suffix.lower() in AUDIO_SUFFIXES:
        return {source.name: source}
    try:
        names = source.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise AudioError(f"{source}: no such file or folder") from None
    except (OSError, UnicodeDecodeError):
        raise AudioError(f"{source}: not a folder, an audio file or a readable list of files") from None
    listed = {name.strip(): source.parent / name.strip() for name in sorted(names) if name.strip()}
    if not listed:
        raise AudioError(f"{source}: empty list")
    return listed


def _checked(listed: dict[str, Path]) -> list[SoundFile]:
    """All files looked at, by threads: the work is mostly waiting for the disk."""
    with ThreadPoolExecutor(_THREADS) as pool:
        looked = list(pool.map(_look, listed, listed.values()))
    errors = [str(found) for found in looked if isinstance(found, AudioError)]
    if errors:
        more = f"; and {len(errors) - _SHOWN:,} more" if len(errors) > _SHOWN else ""
        raise AudioError("; ".join(errors[:_SHOWN]) + more)
    return [found for found in looked if isinstance(found, SoundFile)]


def _look(name: str, path: Path) -> SoundFile | AudioError:
    try:
        return SoundFile(name, path, path.stat().st_size, probe(path).duration)
    except AudioError as error:
        return error
    except OSError:
        return AudioError(f"{path}: no such file")
