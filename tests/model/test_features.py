"""Log-mel features: equal to torchaudio's and librosa's, and the same for an utterance alone and in any batch."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.audio import find_audio, read_audio
from asr.config import FeatureConfig
from asr.model.features import LogSpectrum, filter_blocks, mel_filters
from asr.model.masking import zero_padding

SETTINGS = {
    "16 kHz": FeatureConfig(),
    "8 kHz": FeatureConfig(sample_rate=8000, mels=40),
    "odd window": FeatureConfig(sample_rate=22050, window_ms=20, hop_ms=7.3, mels=24, low_hz=60, high_hz=5000),
}


def of_one(log_spectrum: LogSpectrum, waveform: np.ndarray) -> torch.Tensor:
    """Features (frames, mels) of one waveform."""
    features, frames = log_spectrum(torch.from_numpy(waveform)[None], torch.tensor([len(waveform)]))
    assert features.shape == (1, int(frames[0]), log_spectrum.config.mels)
    return features[0]


def by_torchaudio(waveform: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Mel power (frames, mels)."""
    torchaudio = pytest.importorskip("torchaudio")
    transform = torchaudio.transforms.MelSpectrogram(
        config.sample_rate,
        n_fft=config.fft,
        win_length=config.window,
        hop_length=config.hop,
        f_min=config.low_hz,
        f_max=config.high_hz,
        n_mels=config.mels,
        center=True,
        pad_mode="constant",
    )
    return transform(torch.from_numpy(waveform)).T.numpy()


def test_a_log_spectrogram_has_the_power_of_every_bin(babble):
    config = FeatureConfig(scale="linear", window_ms=20, floor=1e-3)
    waveform = torch.from_numpy(babble(0.7, 16000, seed=3))
    spectrum = torch.stft(
        waveform, 320, 160, window=torch.hann_window(320), center=True, pad_mode="constant", return_complex=True
    )
    expected = spectrum.abs().square().clamp(min=1e-3).log().T
    features, frames = LogSpectrum(config)(waveform[None], torch.tensor([len(waveform)]))
    assert features.shape == (1, int(frames[0]), config.bands) and config.bands == 161
    torch.testing.assert_close(features[0], expected, atol=1e-4, rtol=1e-4)


def test_a_window_of_an_odd_number_of_samples_has_as_many_frames_as_any():
    config = FeatureConfig(scale="linear", window_ms=20, sample_rate=22050)
    assert config.fft == 441
    lengths = torch.tensor([10 * config.hop, 10 * config.hop - 1])
    features, frames = LogSpectrum(config)(torch.randn(2, 10 * config.hop), lengths)
    assert frames.tolist() == [11, 10] and features.shape == (2, 11, config.bands)


def by_librosa(waveform: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Mel power (frames, mels)."""
    librosa = pytest.importorskip("librosa")
    return librosa.feature.melspectrogram(
        y=waveform,
        sr=config.sample_rate,
        n_fft=config.fft,
        win_length=config.window,
        hop_length=config.hop,
        fmin=config.low_hz,
        fmax=config.high_hz,
        n_mels=config.mels,
        htk=True,
        norm=None,
        center=True,
        pad_mode="constant",
    ).T


@pytest.mark.parametrize("name", SETTINGS)
def test_the_filters_are_torchaudios_to_the_last_bit(name):
    torchaudio = pytest.importorskip("torchaudio")
    config = SETTINGS[name]
    expected = torchaudio.functional.melscale_fbanks(
        n_freqs=config.fft // 2 + 1,
        f_min=config.low_hz,
        f_max=config.high_hz or config.sample_rate / 2,
        n_mels=config.mels,
        sample_rate=config.sample_rate,
    )
    assert torch.equal(mel_filters(config), expected)


@given(st.integers(4000, 48000), st.integers(8, 256), st.floats(0, 500), st.floats(1000, 2000), st.floats(10, 40))
@settings(max_examples=50)
def test_neighbouring_filters_share_all_power_between_the_first_and_the_last_peak(rate, mels, low, high, window_ms):
    config = FeatureConfig(sample_rate=rate, mels=mels, low_hz=low, high_hz=high, window_ms=window_ms, hop_ms=5)
    filters = mel_filters(config)
    assert filters.shape == (config.fft // 2 + 1, mels) and (filters >= 0).all() and (filters <= 1).all()
    assert ((filters > 0).sum(1) <= 2).all()
    mel = 2595 * np.log10(1 + np.array([low, high]) / 700)
    first, last = 700 * (10 ** (np.linspace(*mel, mels + 2)[[1, -2]] / 2595) - 1)
    hz = np.linspace(0, rate / 2, config.fft // 2 + 1)
    between = torch.from_numpy((hz > first) & (hz < last))
    torch.testing.assert_close(filters[between].sum(1), torch.ones(int(between.sum())), atol=1e-3, rtol=0)
    assert not filters[torch.from_numpy((hz < low - 0.01) | (hz > high + 0.01))].any()


def largest_difference(waveform: np.ndarray, config: FeatureConfig, peer) -> float:
    """In the logarithm, where the power is above 1e-6 of the utterance's maximum."""
    expected = peer(waveform, config)
    actual = of_one(LogSpectrum(config), waveform).numpy()
    assert actual.shape == expected.shape
    audible = expected > max(1e-6 * expected.max(), config.floor)
    assert audible.any()
    return float(np.abs(actual - np.log(np.maximum(expected, config.floor)))[audible].max())


@pytest.mark.parametrize("peer", [by_torchaudio, by_librosa])
@pytest.mark.parametrize("name", SETTINGS)
def test_equal_to_the_peers_on_synthetic_sound(peer, name, babble):
    config = SETTINGS[name]
    assert largest_difference(babble(1.37, config.sample_rate, seed=5), config, peer) < 1e-4


@pytest.mark.parametrize("peer", [by_torchaudio, by_librosa])
@pytest.mark.parametrize(("corpus", "name"), [("fsdd", "8 kHz"), ("libri-mini", "16 kHz")])
def test_equal_to_the_peers_on_real_speech(peer, corpus, name, data: Path, record_property):
    config = SETTINGS[name]
    files = find_audio([str(data / corpus)])[:: 1000 if corpus == "libri-mini" else 300]
    assert len(files) > 2
    worst = max(largest_difference(read_audio(file, config.sample_rate), config, peer) for file in files)
    record_property("largest_difference", worst)
    print(f"\n{corpus} against {peer.__name__}: {worst:.2g}")
    assert worst < 1e-4


@pytest.mark.parametrize("samples", [1, 2, 79, 80, 81, 199, 8000])
def test_frames_are_centred_on_multiples_of_the_hop(samples):
    config = SETTINGS["8 kHz"]
    features = of_one(LogSpectrum(config), np.full(samples, 0.1, np.float32))
    assert len(features) == samples // config.hop + 1
    assert features.isfinite().all()


def test_an_impulse_stands_in_the_frame_of_its_time():
    config = SETTINGS["8 kHz"]
    waveform = np.zeros(8000, np.float32)
    waveform[37 * config.hop] = 1.0
    assert int(of_one(LogSpectrum(config), waveform).sum(1).argmax()) == 37


def test_silence_is_the_floor():
    config = SETTINGS["16 kHz"]
    features = of_one(LogSpectrum(config), np.zeros(1000, np.float32))
    assert torch.equal(features, torch.full_like(features, np.log(np.float32(config.floor))))


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=5), st.integers(0, 500), st.integers(0, 99))
@settings(max_examples=30)
def test_nothing_leaks_across_an_utterances_end(lengths, extra, seed):
    """What stands beyond an utterance changes no bit of its features, and whom it shares a batch with only the last."""
    log_spectrum = LogSpectrum(SETTINGS["8 kHz"])
    rng = np.random.default_rng(seed)
    waveforms = [rng.standard_normal(length).astype(np.float32) for length in lengths]
    garbage = rng.standard_normal((len(lengths), max(lengths) + extra)).astype(np.float32) * 100
    garbage[:, ::7] = np.nan
    for row, waveform in zip(garbage, waveforms, strict=True):
        row[: len(waveform)] = waveform
    features, frames = log_spectrum(torch.from_numpy(garbage), torch.tensor(lengths))
    clean, _ = log_spectrum(zero_padding(torch.from_numpy(garbage), torch.tensor(lengths)), torch.tensor(lengths))
    assert torch.equal(features, clean)
    for row, count, waveform in zip(features, frames.tolist(), waveforms, strict=True):
        assert torch.allclose(row[:count], of_one(log_spectrum, waveform), rtol=0, atol=1e-5)
        assert not row[count:].any()


@given(st.integers(1, 60), st.integers(1, 70), st.floats(0, 1), st.integers(0, 2**32))
def test_blocks_hold_every_weight_of_a_filter_bank(bins, mels, share, seed):
    generator = torch.Generator().manual_seed(seed)
    filters = torch.rand(bins, mels, generator=generator) * (torch.rand(bins, mels, generator=generator) < share)
    spectrum = torch.rand(3, bins, generator=generator)
    parts = [spectrum[:, used] @ filters[used, block] for used, block in filter_blocks(filters)]
    torch.testing.assert_close(torch.cat(parts, dim=-1), spectrum @ filters)
