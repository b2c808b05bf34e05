"""Log-mel features against librosa's and torchaudio's at the same settings, one thread, in one run.

    python benchmarks/features.py

16 utterances of 10 s at 16 kHz, 80 mel bands, windows of 25 ms every 10 ms. That all three give the same numbers is a
test (tests/model/test_features.py); here is the time that they take.
"""

from __future__ import annotations

import librosa
import numpy as np
import torch
import torchaudio
from measure import median_seconds

from asr.config import FeatureConfig
from asr.model.features import LogSpectrum

BATCH, SECONDS = 16, 10


def main() -> None:
    torch.set_num_threads(1)
    config = FeatureConfig()
    waveforms = torch.randn(BATCH, SECONDS * config.sample_rate, generator=torch.Generator().manual_seed(1)) * 0.1
    lengths = torch.full((BATCH,), waveforms.shape[1])
    ours = LogSpectrum(config)
    settings = {"n_fft": config.fft, "win_length": config.window, "hop_length": config.hop, "n_mels": config.mels}
    theirs = torchaudio.transforms.MelSpectrogram(
        config.sample_rate, f_min=config.low_hz, pad_mode="constant", **settings
    )

    shape = {"fmin": config.low_hz, "htk": True, "norm": None, "pad_mode": "constant"}

    def with_librosa() -> None:
        for waveform in waveforms.numpy():
            power = librosa.feature.melspectrogram(y=waveform, sr=config.sample_rate, **shape, **settings)
            np.log(np.maximum(power, config.floor))

    with torch.inference_mode():
        times = median_seconds(
            {
                "librosa": with_librosa,
                "torchaudio": lambda: theirs(waveforms).clamp(min=config.floor).log(),
                "asr": lambda: ours(waveforms, lengths),
            }
        )
    print(f"{BATCH} utterances of {SECONDS} s, one thread")
    for name, seconds in times.items():
        print(f"{name:>12} {1000 * seconds:7.1f} ms   librosa takes {times['librosa'] / seconds:5.2f} times as long")


if __name__ == "__main__":
    main()
