"""Recordings of nobody, tables that name them, and what splits hold, for the tests of own recordings."""

from itertools import combinations
from pathlib import Path

import numpy as np
import soundfile


def record(path: Path, seconds: float = 0.2) -> None:
    """A recording that no other equals: noise seeded by its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(list(str(path).encode())).uniform(-0.1, 0.1, round(8000 * seconds))
    soundfile.write(path, noise, 8000)


def table(folder: Path, header: str, rows: list[str]) -> Path:
    """A table, and the recordings that the first cell of each row names."""
    path = folder / "table.tsv"
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n")
    for row in rows:
        record(folder / row.split("\t")[0])
    return path


def of(splits, field: str) -> dict[str, set[str]]:
    return {name: {getattr(one, field) for one in utterances} for name, utterances in splits.items()}


def overlapping(sets: dict[str, set[str]]) -> bool:
    return any(a & b for a, b in combinations(sets.values(), 2))
