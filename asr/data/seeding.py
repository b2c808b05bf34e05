"""Random numbers as a function of names, so that no generator state is ever saved, shared or replayed."""

from __future__ import annotations

import zlib

import numpy as np


def generator(seed: int, *keys: int | str) -> np.random.Generator:
    """A generator for one purpose: the same seed and keys give the same numbers, in any process and any order.

    Args:
        seed: The run's seed.
        keys: What the numbers are for, such as (epoch, utterance id).
    """
    words = [key if isinstance(key, int) else zlib.crc32(key.encode()) for key in keys]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *words])))


def torch_seed(seed: int, *keys: int | str) -> int:
    """A seed for `torch.manual_seed`, by the same rule."""
    return int(generator(seed, *keys).integers(2**63))
