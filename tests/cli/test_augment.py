"""`asr augment`: files and lines for what training hears, and one line for each mistake."""

import numpy as np
import pytest
import soundfile

from asr.audio import read_audio, write_wav

SMALL = ("features.sample_rate=8000", "features.mels=16", "model.layers=1", "model.hidden=8")


@pytest.fixture
def augment(run_asr, tmp_path, babble):
    """A function that runs `asr augment` with small settings into `out`, on recordings in `speech/`."""
    (tmp_path / "speech").mkdir()
    (tmp_path / "noise").mkdir()
    for seed, name in enumerate(("a", "b")):
        write_wav(tmp_path / "speech" / f"{name}.wav", babble(1.0 + seed, 8000, seed), 8000)
    soundfile.write(tmp_path / "noise" / "street.flac", babble(3.0, 16000, 7), 16000)

    def run(*arguments: object, conf: str = "own", out: str = "out"):
        return run_asr("augment", *arguments, *SMALL, "--conf", conf, "--out", tmp_path / out)

    return run


def test_from_end_to_end(augment, tmp_path):
    noise = f"augment.noise_files={tmp_path / 'noise'}"
    effects = ("augment.noise=1", noise, "augment.reverb=1", "augment.band=1", "augment.band_high_hz=[1000, 2000]")
    status, out, err = augment(tmp_path / "speech", "--count", 1, "--seed", 3, *effects)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert [line.split(":")[0] for line in lines] == [str(tmp_path / "out" / f"{name}-1.wav") for name in "ab"]
    for line in lines:
        assert all(words in line for words in (": speed ", "room of RT60 ", "noise street.flac from ", " Hz; gain "))
        heard = read_audio(line.split(":")[0], 8000)
        power = np.abs(np.fft.rfft(heard)) ** 2
        assert power[np.fft.rfftfreq(len(heard), 1 / 8000) > 2200].sum() < 1e-3 * power.sum()
        assert (tmp_path / "out" / line.split(":")[0].replace(".wav", ".png")).stat().st_size > 10_000
    assert augment(tmp_path / "speech", "--count", 1, "--seed", 3, *effects, out="again").status == 0
    for name in ("a-original.wav", "a-1.wav", "a-1.png"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()


def test_nothing_is_replaced_unasked(augment, tmp_path):
    assert augment(tmp_path / "speech" / "a.wav", "--count", 1).status == 0
    status, out, err = augment(tmp_path / "speech")
    assert (status, out) == (2, "") and "a-original.wav" in err and "--overwrite" in err
    assert augment(tmp_path / "speech" / "a.wav", "--count", 1, "--overwrite").status == 0


def test_a_bad_recording_is_named_and_the_rest_done(augment, tmp_path):
    (tmp_path / "speech" / "bad.wav").write_bytes(b"RIFF")
    status, out, err = augment(tmp_path / "speech", "--count", 1)
    assert status == 1
    assert len(out.splitlines()) == 2
    assert err.startswith("asr: ") and "bad.wav" in err and err.count("\n") == 1


def test_mistakes_end_with_one_line(augment, tmp_path):
    for arguments, words in (
        ([tmp_path / "none.wav"], "none.wav: no such file"),
        ([tmp_path / "speech", "augment.nose=1"], "did you mean noise?"),
        ([tmp_path / "speech", "augment.noise=1", f"augment.noise_files={tmp_path / 'lost'}"], "lost: no such file"),
        ([tmp_path / "speech", "augment.noise=0", "augment.noise_files=noise"], "the share of examples"),
    ):
        status, _, err = augment(*arguments)
        assert status == 2 and words in err and err.count("\n") == 1, err
    assert not (tmp_path / "out").exists()
    status, _, err = augment("augment.noise=1")
    assert status == 2 and "no audio given" in err
    assert augment(tmp_path / "speech", conf="nothing").status == 2
