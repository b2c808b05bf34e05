"""Any audio in, the right waveform out, or one line that says what is wrong."""

import io
import os
import re
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.audio import AudioInfo, find_audio, probe, read_audio, read_stretch, write_flac, write_wav
from asr.errors import AudioError

FORMATS = {
    "8 bit wav": ("WAV", "PCM_U8", 0.02),
    "16 bit wav": ("WAV", "PCM_16", 1e-4),
    "24 bit wav": ("WAV", "PCM_24", 1e-6),
    "32 bit wav": ("WAV", "PCM_32", 1e-6),
    "float wav": ("WAV", "FLOAT", 0),
    "double wav": ("WAV", "DOUBLE", 0),
    "mu-law wav": ("WAV", "ULAW", 0.02),
    "flac": ("FLAC", "PCM_16", 1e-4),
    "24 bit flac": ("FLAC", "PCM_24", 1e-6),
    "vorbis": ("OGG", "VORBIS", 0.1),
    "opus": ("OGG", "OPUS", 0.15),
    "mp3": ("MP3", "MPEG_LAYER_III", 0.1),
    "sphere": ("NIST", "PCM_16", 1e-4),
    "aiff": ("AIFF", "PCM_16", 1e-4),
    "au": ("AU", "PCM_16", 1e-4),
}


def encode(waveform, kind="16 bit wav", rate=16000) -> bytes:
    """A waveform (samples,) or (samples, channels) as the bytes of a file."""
    form, subtype, _ = FORMATS[kind]
    stream = io.BytesIO()
    soundfile.write(stream, waveform, rate, format=form, subtype=subtype)
    return stream.getvalue()


def tone(seconds=1.0, rate=16000, hertz=440.0, level=0.5):
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def message(source, rate=16000) -> str:
    """The error that reading raises, checked to be one line."""
    with pytest.raises(AudioError) as caught:
        read_audio(source, rate)
    line = str(caught.value)
    assert "\n" not in line and len(line) < 300
    return line


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_gives_the_same_waveform(kind):
    original = tone()
    waveform = read_audio(encode(original, kind), 16000)
    assert waveform.dtype == np.float32 and waveform.shape == original.shape and waveform.flags.c_contiguous
    middle = slice(1000, -1000)  # lossy encoders have no past at the start and no future at the end
    assert np.abs(waveform - original)[middle].max() <= FORMATS[kind][2]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("seconds", [0.5, 3.21])
def test_probe_knows_the_exact_duration_without_decoding(kind, seconds, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(encode(tone(seconds), kind))
    assert probe(path) == AudioInfo(pytest.approx(seconds), 16000, 1)
    assert len(read_audio(path, 16000)) == round(seconds * 16000)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_stretch_is_what_the_whole_has_there(kind, tmp_path):
    path = tmp_path / "speech"
    path.write_bytes(encode(np.linspace(0, 0.5, 3 * 16000) * tone(3.0, level=1.0), kind))
    whole = read_audio(path, 16000)
    for start in (0.0, 0.7, 2.5):
        stretch = read_stretch(path, start, 0.4, 16000)
        first = round(start * 16000)
        assert len(stretch) in (6400, 6401) and stretch.dtype == np.float32
        assert np.allclose(stretch, whole[first : first + len(stretch)], atol=0.02)
    assert 3200 <= len(read_stretch(path, 2.8, 0.4, 16000)) <= 3200 + 2 * 1152  # the file's end; in MP3, of its frame
    assert len(read_stretch(path, 1.0, 0.4, 8000)) in (3200, 3201)


def test_a_stretch_that_cannot_be_read(tmp_path):
    path = tmp_path / "speech.flac"
    content = bytearray(encode(np.random.default_rng(0).uniform(-0.5, 0.5, 80_000), "flac"))
    content[len(content) // 2 : len(content) // 2 + 2000] = bytes(2000)
    path.write_bytes(content)
    assert len(read_stretch(path, 0.0, 1.0, 16000)) >= 16000
    with pytest.raises(AudioError, match="truncated or damaged"):
        read_stretch(path, 2.4, 1.0, 16000)
    with pytest.raises(AudioError, match="no such file"):
        read_stretch(tmp_path / "lost.wav", 0.0, 1.0, 16000)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000])
def test_wrong_sample_rate_is_resampled(rate):
    waveform = read_audio(encode(tone(1.0, rate, hertz=440), rate=rate), 16000)
    assert len(waveform) == pytest.approx(16000, abs=1)
    assert np.abs(waveform - tone()[: len(waveform)])[500:-500].max() < 1e-3  # the same pitch and level


def test_resampling_down_does_not_alias():
    waveform = read_audio(encode(tone(hertz=6000)), 8000)
    assert np.abs(waveform[200:-200]).max() < 1e-3  # 6 kHz would come back as 2 kHz


def test_channels_are_averaged_not_dropped(tmp_path):
    three = np.stack([tone(level=0.6), np.zeros(16000, np.float32), tone(level=0.3)], axis=1)
    (tmp_path / "a.wav").write_bytes(encode(three, "float wav"))
    assert np.abs(read_audio(tmp_path / "a.wav", 16000) - tone(level=0.3)).max() < 1e-6
    assert probe(tmp_path / "a.wav").channels == 3


def test_path_bytes_file_object_and_standard_input_are_read_alike(tmp_path, monkeypatch):
    content = encode(tone())
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    with path.open("rb") as file:
        waveforms = [read_audio(source, 16000) for source in (path, str(path), content, file, "-")]
        waveforms.append(read_audio(file, 16000))  # from its beginning, wherever it stands
    assert all(np.array_equal(waveform, waveforms[0]) for waveform in waveforms)


def test_a_stream_that_cannot_seek_is_read():
    class Pipe(io.BytesIO):
        def seekable(self):
            return False

        def seek(self, *_):
            raise OSError("a pipe")

    assert len(read_audio(Pipe(encode(tone())), 16000)) == 16000


def test_float_samples_beyond_full_scale_are_clipped():
    waveform = read_audio(encode(tone(level=1.5), "float wav"), 16000)
    assert waveform.max() == 1.0 and waveform.min() == -1.0


def test_resampling_does_not_leave_full_scale():
    square = np.sign(tone(hertz=100)).astype(np.float32)
    assert np.abs(read_audio(encode(square, "float wav"), 8000)).max() <= 1.0


def test_integers_stored_as_floats_are_refused():
    assert "scaled to [-1, 1]" in message(encode(tone(level=20000), "float wav"))


def test_sixteen_bits_survive_writing_and_reading(tmp_path):
    samples = np.array([-32768, -32767, -1, 0, 1, 32767], np.float32) / 32768
    write_wav(tmp_path / "a.wav", samples, 8000)
    assert np.array_equal(read_audio(tmp_path / "a.wav", 8000), samples)
    write_wav(tmp_path / "loud.wav", np.array([1.5, -1.5]), 8000)
    assert np.array_equal(read_audio(tmp_path / "loud.wav", 8000), np.float32([32767 / 32768, -1]))


# What is wrong with a file, in one line that names it.


def test_missing_file(tmp_path):
    assert message(tmp_path / "no.wav") == f"{tmp_path / 'no.wav'}: no such file"


def test_folder(tmp_path):
    assert "is a folder" in message(tmp_path)


def test_no_permission(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # the tests may run as root, whom no file mode stops
    assert message(tmp_path / "a.wav") == f"{tmp_path / 'a.wav'}: cannot be read: permission denied"


def test_path_with_a_null_character():
    assert "cannot be read" in message("a\0.wav")


def test_empty_file(tmp_path):
    (tmp_path / "a.wav").touch()
    assert "0 bytes" in message(tmp_path / "a.wav")


@pytest.mark.parametrize("name", ["page.wav", "samples.raw"])
def test_not_audio(tmp_path, name):
    (tmp_path / name).write_text("<html>404 Not Found</html>" * 50)
    assert "not a supported audio file" in message(tmp_path / name)
    assert str(tmp_path / name) in message(tmp_path / name)


@pytest.mark.parametrize("kind", ["16 bit wav", "float wav", "vorbis", "sphere", "aiff"])
def test_no_samples(kind):
    assert "contains no samples" in message(encode(np.zeros(0, np.float32), kind))


def test_too_short_to_resample():
    assert "too short" in message(encode(np.zeros(1, np.float32), rate=48000), 8000)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers(value):
    samples = tone()
    samples[77] = value
    assert "NaN or infinite" in message(encode(samples, "float wav"))
    assert "NaN or infinite" in message(encode(np.stack([samples, -samples], axis=1), "float wav"))


@pytest.mark.parametrize("part", [0.5, 0.9])
@pytest.mark.parametrize("kind", FORMATS)
def test_truncated_file_is_refused_not_read_in_part(kind, part, tmp_path):
    content = encode(tone(3.0) + 0.1 * np.random.default_rng(1).standard_normal(48000).astype(np.float32), kind)
    path = tmp_path / "cut"
    path.write_bytes(content[: int(part * len(content))])
    assert "truncated" in message(path)
    with pytest.raises(AudioError, match="truncated"):
        probe(path)


def test_ogg_cut_between_two_pages():
    content = encode(np.random.default_rng(1).uniform(-1, 1, 160000).astype(np.float32), "opus")
    assert content.count(b"OggS") > 4
    assert "truncated" in message(content[: content.rfind(b"OggS")])


def mp3(mode: str) -> tuple[bytes, bytes]:
    """9 s of loud and quiet sound as an MP3, and the same without the first frame, which says how long it is."""
    samples = np.random.default_rng(1).uniform(-1, 1, (3, 48000)).astype(np.float32) * [[0.9], [0.0], [0.2]]
    stream = io.BytesIO()
    options = {"format": "MP3", "subtype": "MPEG_LAYER_III", "bitrate_mode": mode, "compression_level": 0.5}
    with soundfile.SoundFile(stream, "w", 16000, 1, **options) as file:
        file.write(samples.ravel())
    content = stream.getvalue()
    kilobits = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160][content[2] >> 4]
    return content, content[72 * kilobits * 1000 // 16000 + (content[2] >> 1 & 1) :]


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_mp3_after_an_id3_tag(mode):
    tag = b"ID3\x04\x00\x00" + bytes([0, 0, 2, 10]) + bytes(2 * 128 + 10)
    assert len(read_audio(tag + mp3(mode)[0] + b"TAG" + bytes(125), 16000)) == 3 * 48000
    assert "truncated" in message((tag + mp3(mode)[0])[:-5000])


def test_mp3_whose_encoder_counts_the_frame_that_holds_the_count():
    content = bytearray(mp3("VARIABLE")[0])
    count = slice(content.index(b"Xing") + 8, content.index(b"Xing") + 12)
    content[count] = (int.from_bytes(content[count], "big") + 1).to_bytes(4, "big")
    assert len(read_audio(bytes(content), 16000)) == pytest.approx(3 * 48000, abs=2 * 1152)


def test_mp3_that_does_not_say_how_long_it_is():
    constant, variable = mp3("CONSTANT")[1], mp3("VARIABLE")[1]
    assert len(read_audio(constant, 16000)) == pytest.approx(3 * 48000, abs=2 * 1152)
    assert len(read_audio(constant + b"TAG" + bytes(125), 16000)) == pytest.approx(3 * 48000, abs=2 * 1152)
    assert "variable bit rate" in message(variable)  # libsndfile would read only as far as it guesses


def test_flac_damaged_in_the_middle():
    content = bytearray(encode(np.random.default_rng(1).uniform(-1, 1, 48000).astype(np.float32), "flac"))
    content[40000:50000] = bytes(10000)
    assert "damaged" in message(bytes(content)) or "truncated" in message(bytes(content))


@pytest.mark.parametrize(("count", "expected"), [(0, "no length in its head"), (2**36 - 1, "fit in memory|truncated")])
def test_flac_without_or_with_a_wild_length(count, expected, tmp_path):
    content = bytearray(encode(tone(), "flac"))
    fields = int.from_bytes(content[18:26], "big")  # of STREAMINFO: rate, channels, bits, and 36 bits of samples
    content[18:26] = (fields >> 36 << 36 | count).to_bytes(8, "big")
    assert re.search(expected, message(bytes(content)))
    (tmp_path / "x.flac").write_bytes(content)
    with pytest.raises(AudioError, match=r"x\.flac"):
        probe(tmp_path / "x.flac")


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFFFFF - 36])
def test_wav_from_a_pipe_has_no_size_and_is_read(size):
    content = bytearray(encode(tone()))
    assert content[36:40] == b"data"
    content[40:44] = struct.pack("<I", size)
    assert len(read_audio(bytes(content), 16000)) == 16000


def test_tags_after_the_audio_do_no_harm():
    for kind in ("16 bit wav", "mp3", "flac", "opus"):
        assert len(read_audio(encode(tone(), kind) + b"TAG" + bytes(125), 16000)) == 16000


# Finding files.


@pytest.fixture
def tree(tmp_path):
    for name in ("b.wav", "a.FLAC", "sub/deep/c.opus", "notes.txt", "sub/d.mp3", "e[1].wav", "._b.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def names(files, tree):
    return [file.relative_to(tree).as_posix() for file in files]


def test_folders_are_searched_to_the_bottom(tree):
    assert names(find_audio([tree]), tree) == ["a.FLAC", "b.wav", "e[1].wav", "sub/d.mp3", "sub/deep/c.opus"]


def test_links_to_folders_are_followed_each_folder_once(tree, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("disk")
    (elsewhere / "more").mkdir()
    for name in ("f.wav", "more/g.wav"):
        (elsewhere / name).touch()
    (tree / "c").symlink_to(elsewhere)
    (tree / "d").symlink_to(elsewhere / "more")  # found below c already
    (tree / "a").symlink_to(tree / "sub")  # has its own name
    (tree / "sub" / "loop").symlink_to(tree)
    (elsewhere / "more" / "up").symlink_to("..")
    (tree / "gone").symlink_to("nowhere")
    assert names(find_audio([tree]), tree) == [
        "a.FLAC",
        "b.wav",
        "c/f.wav",
        "c/more/g.wav",
        "e[1].wav",
        "sub/d.mp3",
        "sub/deep/c.opus",
    ]
    assert names(find_audio([tree / "a"]), tree)[:1] == ["a/d.mp3"]


def test_globs_and_files_each_once_in_the_order_given(tree):
    assert names(find_audio([tree / "sub", f"{tree}/*.wav", tree / "b.wav"]), tree) == [
        "sub/d.mp3",
        "sub/deep/c.opus",
        "b.wav",
        "e[1].wav",
    ]
    assert names(find_audio([f"{tree}/**/*.opus"]), tree) == ["sub/deep/c.opus"]


def test_a_pipe_is_a_file_and_a_link_to_nowhere_is_none(tree):
    os.mkfifo(tree / "pipe")
    (tree / "gone.wav").symlink_to("nowhere")
    assert find_audio([tree / "pipe"]) == [tree / "pipe"]
    assert names(find_audio([f"{tree}/*.wav"]), tree) == ["b.wav", "e[1].wav"]
    with pytest.raises(AudioError, match=r"gone.wav: no such file"):
        find_audio([tree / "gone.wav"])


def test_a_named_file_is_taken_whatever_its_name(tree):
    assert names(find_audio([tree / "notes.txt", tree / "e[1].wav"]), tree) == ["notes.txt", "e[1].wav"]
    assert find_audio(["-"]) == [Path("-")]


def test_all_that_is_not_there_is_named_at_once(tree):
    (tree / "empty").mkdir()
    with pytest.raises(AudioError) as caught:
        find_audio([tree / "no.wav", tree / "b.wav", f"{tree}/*.ogg", tree / "empty"])
    assert all(name in str(caught.value) for name in ("no.wav", "*.ogg", "empty")) and "b.wav" not in str(caught.value)


# Real recordings.


@pytest.mark.parametrize(
    ("pattern", "rate"),
    [
        ("fsdd/recordings/*.wav", 8000),
        ("libri-mini/LibriSpeech/*/*/*/*.opus", 16000),
        ("kathleen/audio/*.opus", 16000),
        ("an4-sample/an4/wav/*/*/*.sph", 16000),
    ],
)
def test_real_recordings(data, pattern, rate):
    files = sorted(data.glob(pattern))[::100][:8]
    if not files:
        pytest.skip(f"no {pattern} in {data}")
    for file in files:
        info = probe(file)
        assert (info.sample_rate, info.channels) == (rate, 1)
        waveform = read_audio(file, rate)
        assert len(waveform) == round(info.duration * rate)
        assert 0.01 < np.abs(waveform).max() <= 1.0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a disk that is always full")
@pytest.mark.parametrize("write", [write_wav, write_flac])
def test_a_full_disk_is_an_error_of_the_system(write):
    with pytest.raises(OSError, match="No space left"):
        write("/dev/full", np.zeros(80_000, np.float32), 8000)
