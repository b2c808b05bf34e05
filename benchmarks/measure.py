"""How the benchmarks take time: contestants in turn, several rounds, the median of each."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


def median_seconds(contestants: Mapping[str, Callable[[], object]], rounds: int = 7) -> dict[str, float]:
    """Median wall seconds of each contestant, run in turn so that a busy machine slows all of them alike.

    Args:
        contestants: Name -> what to run; one uncounted warm-up each.
        rounds: Counted runs of each.
    """
    for run in contestants.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in seconds.items()}
