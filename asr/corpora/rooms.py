"""What a room and a microphone add to clean speech: silence around it, another level, and noise."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from asr.data.noise import coloured_noise


def in_a_room(
    speech: npt.NDArray[np.float32], sample_rate: int, generator: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Speech as a microphone in some room hears it.

    Silence of 0.1 to 0.4 s before and after, a level of -35 to -18 dB of full scale (the speech's own power), and noise
    between white and brown, 15 to 40 dB below the speech.

    Args:
        speech: (samples,) without silence around it.
        sample_rate: Hz.
        generator: Decides everything that is random here.

    Returns:
        float32 (samples,) in [-1, 1]; what would be louder is turned down, not clipped.
    """
    level = 10 ** (generator.uniform(-35, -18) / 20)
    noise_level = level / 10 ** (generator.uniform(15, 40) / 20)
    before, after = (generator.uniform(0.1, 0.4, size=2) * sample_rate).astype(int)
    power = np.sqrt(np.mean(speech**2))
    heard: npt.NDArray[np.float32] = np.pad(speech * (level / power), (before, after))
    heard += noise_level * coloured_noise(len(heard), sample_rate, generator.uniform(0, 2), generator)
    heard /= np.maximum(np.abs(heard).max(), 1)
    return heard
