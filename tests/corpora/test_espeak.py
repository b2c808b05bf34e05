"""The synthesiser: it speaks, obeys its settings, repeats itself in a fresh process, fails with one clear line."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from asr.corpora.espeak import Espeak, espeak_variants
from asr.errors import CorpusError

pytest.importorskip("espeakng_loader")


@pytest.fixture(scope="module")
def espeak() -> Espeak:
    return Espeak("en-us+m3", seed=1)


def fundamental(waveform: np.ndarray, rate: int) -> float:
    """Frequency in Hz of the strongest autocorrelation peak between 60 and 400 Hz."""
    spectrum = np.fft.rfft(waveform, 2 * len(waveform))
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)
    lags = np.arange(rate // 400, rate // 60)
    return rate / lags[np.argmax(correlation[lags])]


def test_speaks_without_clipping(espeak: Espeak) -> None:
    speech = espeak.speak("seven two")
    assert speech.dtype == np.float32 and speech.ndim == 1
    assert espeak.sample_rate == 22050
    assert 0.3 < len(speech) / espeak.sample_rate < 1.5
    assert 0.05 < np.sqrt(np.mean(speech**2)) < np.abs(speech).max() <= 1


def test_more_words_take_longer_and_each_utterance_starts_afresh(espeak: Espeak) -> None:
    long, short = len(espeak.speak("one two three four five six")), len(espeak.speak("one two"))
    assert 2 * short < long < 4 * short


def test_words_that_sound_alike_have_the_same_phonemes(espeak: Espeak) -> None:
    assert espeak.phonemes("two") == espeak.phonemes("too") != espeak.phonemes("ten")
    assert espeak.phonemes("knight. night").split()[0] == espeak.phonemes("night")
    assert espeak.phonemes("") == ""


def test_rate(espeak: Espeak) -> None:
    slow, fast = (len(espeak.speak("one two three four", rate=rate)) for rate in (120, 200))
    assert 1.3 < slow / fast < 2


def test_pitch(espeak: Espeak) -> None:
    low, high = (fundamental(espeak.speak("one nine one nine", pitch=p, intonation=0), 22050) for p in (20, 80))
    assert 1.3 < high / low < 3


@pytest.mark.parametrize("voice", ["en-us+nobody", "martian+m3", "en-us", ""])
def test_unknown_voice(voice: str) -> None:
    with pytest.raises(CorpusError, match="no voice"):
        Espeak(voice, seed=1)


def test_variants_carry_what_shapes_the_sound_only() -> None:
    variants = espeak_variants()
    assert len(variants) >= 100 and list(variants) == sorted(variants)
    assert "formant 1 97 100 100" in variants["m1"] and "pitch 75 109" in variants["m1"]
    assert not any(line.startswith(("name", "language", "gender", "#")) for v in variants.values() for line in v)


def in_fresh_python(code: str) -> str:
    """What a Python program prints."""
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_seed_decides_the_breath_noise_of_a_fresh_process() -> None:
    speech = "Espeak('en+f5', seed={}).speak('one two')"
    code = f"import zlib; from asr.corpora.espeak import Espeak; print(zlib.crc32({speech}))"
    first, second, other = (in_fresh_python(code.format(seed)) for seed in (1, 1, 2))
    assert first == second != other


def test_without_the_loader_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(CorpusError, match="pip install espeakng-loader"):
        Espeak("en-us+m3", seed=1)


def test_data_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 150)  # the library's buffer is shorter than that
    code = f"""
import espeakng_loader
from asr.corpora.espeak import Espeak
espeakng_loader.get_data_path = lambda: {str(path)!r}
try:
    Espeak("en-us+m3", seed=1)
except Exception as error:
    print(type(error).__name__, error)
"""
    assert in_fresh_python(code).startswith(f"CorpusError espeak-ng cannot read its data in {path}")
