"""What the decoders' tests compare with: all alignments of small utterances, one by one."""

from functools import lru_cache
from itertools import groupby, product

import numpy as np
import torch


def random_log_probs(seed: int, steps: int, tokens: int, sharpness: float = 2.0) -> torch.Tensor:
    """(steps, tokens) float64 log-probabilities, the sharper the less even."""
    generator = torch.Generator().manual_seed(seed)
    return (sharpness * torch.randn(steps, tokens, dtype=torch.float64, generator=generator)).log_softmax(1)


@lru_cache
def texts_of_paths(steps: int, tokens: int) -> tuple[list[tuple[int, ...]], np.ndarray, np.ndarray]:
    """All texts, and all paths (paths, steps) with the number of the text that each reads as (paths,)."""
    texts: dict[tuple[int, ...], int] = {}
    paths = list(product(range(tokens), repeat=steps))
    numbers = []
    for path in paths:
        text = tuple(token for token, _ in groupby(path) if token != 0)
        numbers.append(texts.setdefault(text, len(texts)))
    return list(texts), np.array(paths, dtype=np.int64).reshape(len(paths), steps), np.array(numbers)


def all_texts(log_probs: torch.Tensor) -> dict[tuple[int, ...], float]:
    """The natural log-probability of every text: (steps, tokens), the blank 0."""
    steps, tokens = log_probs.shape
    texts, paths, numbers = texts_of_paths(steps, tokens)
    scores = log_probs.numpy()[np.arange(steps), paths].sum(axis=1)
    return dict(zip(texts, np.log(np.bincount(numbers, np.exp(scores))), strict=True))


def boost_of(text: str, boosts: dict[str, float]) -> float:
    """What hot words add to the score of a text: each phrase for each time that it stands there as whole words."""
    return sum(boost * times(phrase, text) for phrase, boost in boosts.items())


def times(phrase: str, text: str) -> int:
    """How often a phrase is among the words of a text."""
    words, wanted = text.split(), phrase.split()
    return sum(words[i : i + len(wanted)] == wanted for i in range(len(words)))


def best_alignment(log_probs: torch.Tensor, text: tuple[int, ...]) -> float:
    """The log-probability of the best single path that reads as a text."""
    steps, tokens = log_probs.shape
    texts, paths, numbers = texts_of_paths(steps, tokens)
    return float(log_probs.numpy()[np.arange(steps), paths[numbers == texts.index(text)]].sum(axis=1).max())
