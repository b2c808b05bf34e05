"""Memory that steps free is kept, as the page faults of a process of its own show."""

import ctypes
import subprocess
import sys

import pytest

# Drops a block of 72 MiB, then takes and drops one of 64 in this thread and one of 56 in another: how many of their
# 16,384 and 14,336 pages must be cleared? Each is smaller than the one before, since glibc before 2.38 may use no block
# again for one just as large; training begins with its largest batch, too.
FAULTS = """
import resource, sys
from concurrent.futures import ThreadPoolExecutor
import torch
from asr.train.heap import keep_freed_memory

def faults(mebibytes):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.empty(mebibytes << 18).fill_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if sys.argv[1] == "kept":
    keep_freed_memory()
faults(72)
print(faults(64), ThreadPoolExecutor(1).submit(faults, 56).result())
"""


def faults(how: str) -> list[int]:
    done = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True)
    return [int(number) for number in done.stdout.split()]


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="another C library than glibc")
def test_large_blocks_are_used_again_in_every_thread():
    assert max(faults("kept")) < 1000
    assert min(faults("freed")) > 1000  # huge pages would make it few; then there is nothing to keep, and this says so


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch):
    from asr.train import heap

    monkeypatch.setattr(heap.ctypes, "CDLL", lambda name: object())
    heap.keep_freed_memory()
