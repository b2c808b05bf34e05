"""Recordings of noise and rooms: each draw a function of the folder and the generator, each bad file named at once."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.audio import write_wav
from asr.config_file import parse_config
from asr.data import sounds
from asr.data.augment import Augmenter
from asr.data.noise import rms
from asr.data.sounds import SoundFiles, Sounds
from asr.errors import AudioError

RATE = 8000


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def ramp(seconds: float) -> np.ndarray:
    """A sound each of whose samples tells where it is."""
    return np.linspace(0.01, 0.9, round(seconds * RATE)).astype(np.float32)


@pytest.fixture
def folder(tmp_path, babble) -> Path:
    """Three short files of other rates and formats, one long one."""
    folder = tmp_path / "noise"
    (folder / "street").mkdir(parents=True)
    write_wav(folder / "b.wav", babble(1.0, RATE, 1), RATE)
    soundfile.write(folder / "a.flac", babble(2.0, 16000, 2), 16000)
    soundfile.write(folder / "street" / "c.ogg", babble(3.0, 22050, 3), 22050)
    soundfile.write(folder / "street" / "long.wav", babble(15.0, 11025, 4), 11025)
    (folder / "README.txt").write_text("not audio")
    return folder


def opened(source: Path, rate: int = RATE) -> SoundFiles:
    return SoundFiles("augment.noise_files", str(source), rate)


def refused(source: Path) -> str:
    with pytest.raises(AudioError) as error:
        opened(source)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith("augment.noise_files: ")
    return str(error.value)


def test_files_are_found_and_sorted(folder):
    files = opened(folder)
    assert [file.name for file in files.files] == ["a.flac", "b.wav", "street/c.ogg", "street/long.wav"]
    assert [file.seconds for file in files.files] == pytest.approx([2, 1, 3, 15], abs=1e-3)
    assert str(files) == "augment.noise_files: 4 files, 21.0 s"


def test_a_list_is_relative_to_itself_and_its_order_does_not_matter(folder):
    (folder / "list.txt").write_text("street/c.ogg\n\nb.wav\n")
    files = opened(folder / "list.txt")
    assert [(file.name, file.path) for file in files.files] == [
        ("b.wav", folder / "b.wav"),
        ("street/c.ogg", folder / "street" / "c.ogg"),
    ]
    assert [file.name for file in opened(folder / "b.wav").files] == ["b.wav"]


@pytest.mark.parametrize("samples", [100, RATE, 5 * RATE, 20 * RATE])
def test_stretches_have_the_wanted_length_and_come_from_everywhere(folder, samples):
    files = opened(folder)
    drawn = [files.draw_stretch(samples, rng(seed)) for seed in range(40)]
    assert all(sound.shape == (samples,) and sound.dtype == np.float32 for _, sound in drawn)
    assert all(rms(sound) > 1e-3 for _, sound in drawn)
    assert {name.split(" from ")[0] for name, _ in drawn} == {file.name for file in files.files}


def test_a_draw_does_not_depend_on_what_was_read_before(folder, monkeypatch):
    seeds = range(30)
    files = opened(folder)
    first = [files.draw_stretch(RATE, rng(seed)) for seed in seeds]
    monkeypatch.setattr(sounds, "_CACHE_BYTES", 0)
    fresh = opened(folder)
    for seed in reversed(seeds):
        name, sound = fresh.draw_stretch(RATE, rng(seed))
        assert name == first[seed][0] and np.array_equal(sound, first[seed][1])


def test_what_is_kept_is_bounded(tmp_path, monkeypatch):
    for number in range(10):
        write_wav(tmp_path / f"{number}.wav", ramp(1), RATE)
    monkeypatch.setattr(sounds, "_CACHE_BYTES", 3 * 2 * RATE)
    files = opened(tmp_path)
    for seed in range(50):
        files.draw_stretch(100, rng(seed))
        assert sum(kept.nbytes for kept in files._kept.values()) <= 3 * 2 * RATE
    assert len(files._kept) == 3


def test_a_short_file_is_repeated(tmp_path):
    write_wav(tmp_path / "ramp.wav", ramp(0.5), RATE)
    whole = ramp(0.5) / 0.9  # its peak at 1
    for seed in range(5):
        name, sound = opened(tmp_path).draw_stretch(2 * RATE, rng(seed))
        first = round(float(name.split(" from ")[1].removesuffix(" s")) * RATE)
        assert np.allclose(sound[: RATE // 2], sound[RATE // 2 : RATE], atol=1e-6)
        assert sound[0] == pytest.approx(whole[first], abs=0.03)
        assert np.allclose(np.sort(sound[: RATE // 2]), whole, atol=1e-3)


def test_a_stretch_of_a_long_file_is_not_decoded_whole(tmp_path, monkeypatch):
    write_wav(tmp_path / "long.wav", ramp(60), RATE)
    monkeypatch.setattr(sounds, "read_audio", None)
    files = opened(tmp_path)
    for seed in range(5):
        name, sound = files.draw_stretch(RATE, rng(seed))
        start = float(name.split(" from ")[1].removesuffix(" s"))
        assert sound[0] == pytest.approx(0.01 + 0.89 * start / 60, abs=0.002)  # what is there, as loud as it is
        assert np.all(np.diff(sound) >= 0)
    assert not files._kept


def test_quiet_recordings_lose_nothing(tmp_path):
    quiet = 1e-4 * rng().standard_normal(RATE).astype(np.float32)
    soundfile.write(tmp_path / "room.wav", quiet, RATE, subtype="FLOAT")
    name, response = opened(tmp_path).draw_whole(rng())
    assert name == "room.wav"
    assert np.allclose(response, quiet / np.abs(quiet).max(), atol=2e-5)


def test_all_that_cannot_be_read_is_named_before_anything_is(folder):
    (folder / "bad.wav").write_bytes(b"RIFF")
    (folder / "street" / "empty.flac").touch()
    whole = (folder / "b.wav").read_bytes()
    (folder / "cut.wav").write_bytes(whole[: len(whole) // 2])
    message = refused(folder)
    assert "bad.wav" in message and "cut.wav: truncated" in message and "empty.flac: is empty" in message
    for number in range(5):
        (folder / f"bad{number}.wav").write_bytes(b"RIFF")
    assert "; and 5 more" in refused(folder)


def test_places_where_there_is_nothing(folder, tmp_path):
    assert "nowhere: no such file or folder" in refused(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "empty: no audio files in it" in refused(tmp_path / "empty")
    (tmp_path / "list.txt").write_text("\n")
    assert "list.txt: empty list" in refused(tmp_path / "list.txt")
    (tmp_path / "list.txt").write_text("noise/a.flac\nnoise/lost.wav\n")
    assert "lost.wav: no such file" in refused(tmp_path / "list.txt")
    (tmp_path / "weights.bin").write_bytes(bytes(range(256)))
    assert "weights.bin: not a folder" in refused(tmp_path / "weights.bin")


def test_what_decides_the_draws_has_names_sizes_and_lengths(folder, tmp_path):
    before = opened(folder).lines
    folder.rename(tmp_path / "elsewhere")
    assert opened(tmp_path / "elsewhere").lines == before
    write_wav(tmp_path / "elsewhere" / "b.wav", ramp(1.1), RATE)
    assert opened(tmp_path / "elsewhere").lines != before


def test_noise_from_files_has_the_asked_ratio_and_is_named(folder, babble):
    config = parse_config(
        {
            "features": {"sample_rate": RATE, "mels": 16},
            "augment": {"noise": 1, "noise_files": str(folder), "noise_snr_db": [7, 7], "gain_db": [0, 0]},
        }
    )
    ours = Augmenter(config, Sounds.of(config))
    speech = 0.3 * babble(2.0, RATE)
    for epoch in range(5):
        drawn = ours.draw(speech, "a", epoch)
        noise = drawn.apply(speech, RATE) - speech
        assert 20 * np.log10(rms(speech) / rms(noise)) == pytest.approx(7, abs=0.1)
        assert any(f"noise {file.name} from " in str(drawn) for file in ours.sounds.noises.files)


def test_rooms_from_files_are_heard(folder, babble):
    config = parse_config(
        {
            "features": {"sample_rate": RATE, "mels": 16},
            "augment": {"reverb": 1, "reverb_files": str(folder / "b.wav"), "gain_db": [0, 0]},
        }
    )
    drawn = Augmenter(config, Sounds.of(config)).draw(babble(2.0, RATE), "a", 0)
    assert "room b.wav" in str(drawn)
    assert len(drawn.room.response) == RATE
    assert np.argmax(np.abs(drawn.room.response)) == drawn.room.direct


def test_only_what_is_named_is_opened(folder):
    assert Sounds.of(parse_config({})).given == []
    config = parse_config({"augment": {"noise": 0.5, "noise_files": str(folder)}})
    assert [files.setting for files in Sounds.of(config).given] == ["augment.noise_files"]
