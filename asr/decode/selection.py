"""The edge between what a beam keeps and what it drops: the n-th largest of some masses.

That is asked at nearly each step of a search. To compare masses with each other is slow, as a processor cannot guess
how comparisons will end; to count them by their size is not.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from asr.decode.compiled import lean
from asr.decode.prefixes import Numbers

Floats = npt.NDArray[np.float64]

BUCKETS = 128  # of masses: 32 octaves in quarters, somewhat more than the threshold leaves by default


@lean
def smallest(values: Floats, count: int) -> float:
    """The smallest of the first `count` values."""
    least = values[0]
    for place in range(1, count):
        least = min(least, values[place])
    return float(least)


@lean
def edge(mass: Floats, count: int, n: int, counts: Numbers, scratch: Floats) -> float:
    """The n-th largest of the first `count` masses.

    They are counted by their first bits, which put numbers of 0 or more into order: sign, exponent and a quarter of an
    octave. So only the few in one and the same bucket must be compared. The last bucket holds all that is smaller.
    """
    bits = mass[:count].view(np.int64)
    largest, last = bits[0], len(counts) - 1
    for place in range(1, count):
        largest = max(largest, bits[place])
    largest >>= 50
    counts[:] = 0
    for place in range(count):
        counts[min(largest - (bits[place] >> 50), last)] += 1
    bucket = 0
    while counts[bucket] < n:
        n -= counts[bucket]
        bucket += 1
    few = 0
    for place in range(count):
        scratch[few] = mass[place]
        few += min(largest - (bits[place] >> 50), last) == bucket
    return float(nth_largest(scratch, few, n))


@lean
def nth_largest(values: Floats, count: int, n: int) -> float:
    """The n-th largest of the first `count` values, which are put into another order (Hoare's selection)."""
    low, high = 0, count - 1
    while low < high:
        pivot = values[(low + high) // 2]
        left, right = low, high
        while left <= right:
            while values[left] > pivot:
                left += 1
            while values[right] < pivot:
                right -= 1
            if left <= right:
                values[left], values[right] = values[right], values[left]
                left += 1
                right -= 1
        if n - 1 <= right:
            high = right
        elif n - 1 >= left:
            low = left
        else:
            break
    return float(values[n - 1])
