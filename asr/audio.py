"""Any audio in, float32 mono at the wanted rate out; or an `AudioError` that names the file and what is wrong with it.

Decoding is libsndfile's (WAV of any depth, FLAC, OGG/Vorbis, Opus, MP3, NIST SPHERE, AIFF, AU), resampling is soxr's.
libsndfile reads a cut file without a word as far as it goes. Training on half a recording with the whole transcript
does harm that nobody sees, so everything here that opens a file also compares what its header promises with what is
there.
"""

from __future__ import annotations

import glob
import io
import math
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from asr.archive import open_binary, parse
from asr.errors import AudioError

Waveform = npt.NDArray[np.float32]
Source = str | Path | bytes | BinaryIO

# In folders these are taken for audio. The last four cannot be read: they are found to be named, not passed over.
_READ_SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".sph", ".aif", ".aiff", ".au")
AUDIO_SUFFIXES = (*_READ_SUFFIXES, ".m4a", ".aac", ".wma", ".amr")

# Float files and lossy decoders may pass full scale by a few decibels, and are clipped. Samples this far out (+18 dB)
# are no recording with overs but integers that somebody stored as floats: clipping them would leave only noise.
LOUDEST = 8.0
_MP3_SLACK = 2 * 1152  # samples; encoders differ in whether the frame that says how many there are counts
_LONGEST_TAG = 4096  # bytes that may follow the sound of an MP3 unread
# Formats in which libsndfile believes the header; in others it corrects the length, and `_cut_in_header` can tell.
_BELIEVED = ("FLAC", "MP3")
# Programs that write to a pipe cannot go back to fill in the size, and leave the largest number instead.
_UNKNOWN_SIZE = 0x7FFF0000
_UNKNOWN_FRAMES = 2**62  # libsndfile's count for a FLAC whose header has none is just below 2**63
# A line of libsndfile's log about a chunk of samples that is longer than the file.
_CORRECTED = re.compile(r"^ *(?:data|SSND|Data Size|riff|Riff size) *: (\d+) \(should be (\d+)\)", re.MULTILINE)
_OGG_PAGE = 65307  # bytes in the longest page


@dataclass(frozen=True)
class AudioInfo:
    """What the header of an audio file says: duration in seconds, sample rate in Hz, number of channels."""

    duration: float
    sample_rate: int
    channels: int


def read_audio(source: Source, sample_rate: int) -> Waveform:
    """The whole of an audio file as a waveform.

    Channels are averaged. Samples beyond full scale are clipped to [-1, 1].

    Args:
        source: A path (of a file, or `SHARD.tar@OFFSET+LENGTH`: see `asr.archive`), the bytes of a file, a binary file
            object, or "-" for standard input.
        sample_rate: Wanted rate in Hz; other rates are resampled to it.

    Returns:
        float32 (samples,), at least one sample.

    Raises:
        AudioError: Missing, a folder, unreadable, not audio, cut, empty, or with samples that are no numbers; for a
            shard also that it is missing or cut.
    """
    name = _name(source)
    with _opened(source, name) as (audio, stream):
        channels = _decoded(audio, stream, name)
        rate = audio.samplerate
    return _waveform(channels, rate, sample_rate, name)


def read_stretch(path: str | Path, start: float, seconds: float, sample_rate: int) -> Waveform:
    """Some seconds out of an audio file, without decoding what is before them (but in MP3).

    Args:
        path: The file.
        start: Where the stretch begins, in seconds.
        seconds: How long it is.
        sample_rate: Wanted rate in Hz.

    Returns:
        float32 (samples,), at least one sample; fewer than were asked for where the file ends.

    Raises:
        AudioError: As `read_audio`.
    """
    name = _name(path)
    with _opened(path, name) as (audio, _):
        rate = audio.samplerate
        # What libsndfile reads from an MP3 after a jump is garbled for a quarter of a second, since each frame leans on
        # those before it: there all of them are decoded.
        first = min(int(start * rate), audio.frames - 1)
        passed = first if audio.format == "MP3" else 0
        try:
            audio.seek(first - passed)
            channels = audio.read(passed + math.ceil(seconds * rate) + 1, dtype="float32", always_2d=True)[passed:]
        except soundfile.LibsndfileError as error:
            detail = str(error.error_string).removeprefix("Error : ").strip(" .")
            raise AudioError(f"{name}: truncated or damaged ({detail})") from None
    if not len(channels):
        raise AudioError(f"{name}: truncated: no audio at {start:.2f} s")
    return _waveform(channels, rate, sample_rate, name)


def probe(path: str | Path) -> AudioInfo:
    """Duration, rate and channels from the header, in a fraction of the time that decoding takes.

    The duration is exact. (But for an MP3 that does not say how long it is, where it is libsndfile's estimate.)

    Raises:
        AudioError: As `read_audio`, but for what only decoding can show: damage in the middle, NaN.
    """
    name = _name(path)
    with _opened(path, name) as (audio, stream):
        if audio.format in _BELIEVED and not _holds_its_end(audio, stream):
            raise AudioError(f"{name}: truncated: the header says {_seconds(audio)}, but the end is missing")
        return AudioInfo(audio.frames / audio.samplerate, audio.samplerate, audio.channels)


def write_wav(path: str | Path, waveform: npt.ArrayLike, sample_rate: int) -> None:
    """Write a waveform (samples,) as a 16-bit mono WAV file; `read_audio` gives back what it read from 16 bits."""
    _write(path, waveform, sample_rate, "WAV")


def write_flac(path: str | Path, waveform: npt.ArrayLike, sample_rate: int) -> None:
    """Write a waveform (samples,) as a 16-bit mono FLAC file: the same samples as `write_wav`, in half the space."""
    _write(path, waveform, sample_rate, "FLAC")


def _write(path: str | Path, waveform: npt.ArrayLike, sample_rate: int, format: str) -> None:
    scaled = np.round(np.asarray(waveform, dtype=np.float64) * 32768)
    encoded = io.BytesIO()  # of a full disk, libsndfile says no more than "System error"
    soundfile.write(encoded, np.clip(scaled, -32768, 32767).astype(np.int16), sample_rate, format=format)
    Path(path).write_bytes(encoded.getbuffer())


def find_audio(paths: Iterable[str | Path]) -> list[Path]:
    """Audio files named by files, folders (see `files_below`) and glob patterns (`**` too), each once.

    A file that is named is taken whatever its suffix, and so is a recording in a shard; in folders the suffix decides
    (`AUDIO_SUFFIXES`). "-", standard input, stays as it is. Names come in the order given, and sorted within a folder
    or pattern.

    Raises:
        AudioError: A path that is not there, a pattern or folder that yields nothing; all of them at once.
    """
    found: dict[Path, None] = {}
    missing = []
    for path in paths:
        files = _expand(path)
        if not files:
            missing.append(f"{path}: {'no audio files in it' if Path(path).exists() else 'no such file or folder'}")
        found.update(dict.fromkeys(files))
    if missing:
        raise AudioError("; ".join(missing))
    return list(found)


def files_below(folder: Path) -> list[Path]:
    """What is no folder in a folder and all those below it, sorted; links to folders are followed.

    Without the `._` files in which macOS keeps what other file systems cannot: they are called like recordings.

    A folder that can be reached by several names is searched once, by its own name where that is below `folder`, so
    that no recording is found twice and a link to a folder above ends.
    """
    found: list[Path] = []
    searched: set[str] = set()
    tops = [folder]
    while tops:
        links: list[Path] = []
        for top in tops:
            for place, folders, files in os.walk(top):
                real = os.path.realpath(place)
                if real in searched:
                    folders.clear()
                    continue
                searched.add(real)
                found += (Path(place, name) for name in files if not name.startswith("._"))
                links += (path for name in folders if (path := Path(place, name)).is_symlink())
        tops = sorted(links)
    return sorted(found)


def _expand(path: str | Path) -> list[Path]:
    """The audio files that one path, folder or pattern stands for."""
    given = Path(path)
    member = parse(given)
    if str(path) == "-":
        return [given]
    if given.is_dir():
        return _audio_below(given)
    if given.exists() or (member and Path(member.shard).is_file()):  # a file, or a pipe
        return [given]
    found: list[Path] = []
    for match in map(Path, glob.glob(str(path), recursive=True)):  # noqa: PTH207 (patterns may be absolute)
        found += _audio_below(match) if match.is_dir() else [match] if match.is_file() else []
    return sorted(found)


def _audio_below(folder: Path) -> list[Path]:
    """The audio files of a folder, without those that somebody has converted: memo.m4a, not read, beside memo.wav."""
    audio = [file for file in files_below(folder) if file.suffix.lower() in AUDIO_SUFFIXES and file.is_file()]
    read = [file for file in audio if file.suffix.lower() in _READ_SUFFIXES]
    converted = {file.with_suffix("") for file in read}
    return sorted({*read, *(file for file in audio if file.with_suffix("") not in converted)})


def _name(source: Source) -> str:
    """What messages call a source."""
    if isinstance(source, str | Path):
        return "standard input" if str(source) == "-" else str(source)
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else "audio data"


@contextmanager
def _opened(source: Source, name: str) -> Iterator[tuple[Any, BinaryIO]]:
    """A source as an open `soundfile.SoundFile` whose header has been checked, and the stream under it."""
    with _stream(source, name) as stream:
        stream.seek(0)
        start = stream.read(1024)
        if not start:
            raise AudioError(f"{name}: is empty (0 bytes)")
        stream.seek(0)
        try:
            audio = soundfile.SoundFile(stream)
        except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: headerless .raw
            detail = str(getattr(error, "error_string", error)).removeprefix("Error : ").strip(" .")
            raise AudioError(
                f"{name}: not a supported audio file ({detail}); use WAV, FLAC, OGG, Opus, MP3 or SPHERE, and "
                "convert others, for example with ffmpeg -i IN OUT.wav"
            ) from None
        with audio:
            if not audio.frames:
                raise AudioError(f"{name}: contains no samples")
            if audio.frames > _UNKNOWN_FRAMES:  # libsndfile cannot read it to its end
                raise AudioError(f"{name}: {audio.format} from a pipe with no length in its header; convert it")
            if lost := _cut_in_header(audio, stream, start):
                raise AudioError(f"{name}: truncated: {lost}")
            yield audio, stream


@contextmanager
def _stream(source: Source, name: str) -> Iterator[BinaryIO]:
    """A source as a seekable binary stream."""
    if isinstance(source, bytes):
        yield io.BytesIO(source)
        return
    if not isinstance(source, str | Path):
        yield source if source.seekable() else io.BytesIO(source.read())
        return
    if str(source) == "-":
        yield io.BytesIO(sys.stdin.buffer.read())
        return
    try:
        with open_binary(source) as file:
            yield file if file.seekable() else io.BytesIO(file.read())
    except FileNotFoundError:
        hint = " (recordings in shards are written as SHARD.tar@OFFSET+LENGTH)" if ".tar@" in name else ""
        raise AudioError(f"{name}: no such file{hint}") from None
    except IsADirectoryError:
        raise AudioError(f"{name}: is a folder, not an audio file") from None
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        reason = getattr(error, "strerror", None) or str(error)
        raise AudioError(f"{name}: cannot be read: {reason.lower()}") from None


def _holds_its_end(audio: Any, stream: BinaryIO) -> bool:
    """Whether the last sample that the header promises can be read."""
    try:
        audio.seek(max(_promised(audio, stream), 1) - 1)
        return len(audio.read(1, dtype="float32")) == 1
    except soundfile.LibsndfileError:
        return False


def _decoded(audio: Any, stream: BinaryIO, name: str) -> Waveform:
    """All samples (samples, channels) of an open file, none missing."""
    promised = _promised(audio, stream)
    try:
        samples: Waveform = audio.read(audio.frames, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        detail = str(error.error_string).removeprefix("Error : ").strip(" .")
        raise AudioError(f"{name}: truncated or damaged ({detail})") from None
    except MemoryError:
        raise AudioError(f"{name}: the header says {_seconds(audio)}, which does not fit in memory") from None
    if len(samples) < max(promised, 1):
        held = len(samples) / audio.samplerate
        raise AudioError(f"{name}: truncated: the header says {_seconds(audio)}, but it contains {held:.2f} s")
    if not promised and len(stream.read(_LONGEST_TAG + 1)) > _LONGEST_TAG:
        raise AudioError(f"{name}: MP3 of variable bit rate without its length; convert it")
    return samples


def _waveform(channels: Waveform, rate: int, sample_rate: int, name: str) -> Waveform:
    """Decoded samples (samples, channels) at a file's rate as a waveform at the wanted one."""
    if not np.isfinite(channels).all():
        raise AudioError(f"{name}: contains NaN or infinite samples")
    waveform = channels[:, 0] if channels.shape[1] == 1 else channels.mean(axis=1)
    peak = float(np.abs(waveform).max())
    if peak > LOUDEST:
        raise AudioError(f"{name}: samples reach {peak:.6g}; floating-point audio must be scaled to [-1, 1]")
    if rate != sample_rate:
        waveform = soxr.resample(waveform, rate, sample_rate)
    if not len(waveform):
        raise AudioError(f"{name}: too short, less than one sample at {sample_rate} Hz")
    return np.ascontiguousarray(np.clip(waveform, -1.0, 1.0), dtype=np.float32)


def _promised(audio: Any, stream: BinaryIO) -> int:
    """Samples that the header says there are; 0 for an MP3 without a Xing header, whose length is a guess by size."""
    if audio.format != "MP3":
        return int(audio.frames)
    place = stream.tell()
    stream.seek(0)
    tag = stream.read(10)
    if tag[:3] == b"ID3":  # its length stands in the lower seven bits of four bytes
        stream.seek(10 + sum(byte << shift for byte, shift in zip(tag[6:], (21, 14, 7, 0), strict=True)))
    first = stream.read(256)
    stream.seek(place)
    return max(audio.frames - _MP3_SLACK, 1) if re.search(b"Xing|Info|VBRI", first) else 0


def _seconds(audio: Any) -> str:
    return f"{audio.frames / audio.samplerate:.2f} s"


def _cut_in_header(audio: Any, stream: BinaryIO, start: bytes) -> str:
    """How a file falls short of what its header says, or "" where it does not.

    libsndfile corrects the length of most formats to what is there. Its log tells for WAV (W64, RF64), AIFF and AU,
    the header itself for SPHERE, and for Ogg the flag that the last page must carry (RFC 3533, 6).
    """
    if audio.format == "OGG":
        return "" if _ogg_ends(stream) else "the last Ogg page is missing or incomplete"
    if audio.format == "NIST":
        count = re.search(rb"sample_count -i (\d+)", start)
        promised, held = (int(count[1]), audio.frames) if count else (0, 0)
        unit = "samples"
    else:
        size = _CORRECTED.search(audio.extra_info)
        promised, held = (int(size[1]), int(size[2])) if size else (0, 0)
        unit = "bytes"
    if held < promised < _UNKNOWN_SIZE:
        return f"the header says {promised:,} {unit}, but it contains {held:,}"
    return ""


def _ogg_ends(stream: BinaryIO) -> bool:
    """Whether an Ogg stream's last page is whole and marked as the last; leaves the stream where it was."""
    place = stream.tell()
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(size - 2 * _OGG_PAGE, 0))
    tail = stream.read()
    stream.seek(place)
    page = tail.rfind(b"OggS")
    header, segments = tail[page : page + 27], tail[page + 27 :]
    if page < 0 or len(header) < 27 or len(segments) < header[26] + sum(segments[: header[26]]):
        return False
    return bool(header[5] & 0x04)
