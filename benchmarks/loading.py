"""Reading a corpus for training: loose files against shards, in one run.

    python benchmarks/loading.py DATA [--hours 1] [--shard-mb 1]

DATA is a prepared folder of loose files (`asr prepare ...` without --shards). Some of its training set is packed into
shards in a temporary folder inside it, so that both lie on one disk. What is read are the bytes alone, as in an epoch,
and whole batches (decoded and padded, not augmented) by the training process and by two workers. Before each round the
files are dropped from the kernel's cache, as where a corpus does not fit in memory (on Linux; elsewhere they may stay).
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import torch

from asr.archive import open_binary, parse, size
from asr.config_file import parse_config
from asr.corpora.shards import pack
from asr.data.dataset import SpeechData
from asr.data.manifest import Utterance, read_manifest
from asr.data.plan import epoch_plan, windows
from asr.data.readahead import read_ahead
from asr.text import Normalizer

ROUNDS = 3
QUIET = {"speed": [1, 1], "gain_db": [0, 0], "time_masks": 0, "mel_masks": 0}


def files(utterances: Sequence[Utterance]) -> set[str]:
    """The files that recordings lie in, themselves or shards."""
    members = ((parse(utterance.audio), utterance.audio) for utterance in utterances)
    return {member.shard if member else audio for member, audio in members}


def forget(paths: set[str]) -> None:
    """Drop files from the kernel's cache."""
    for path in paths if hasattr(os, "posix_fadvise") else ():
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)  # what is not on disk yet stays in the cache
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def read_bytes(data: SpeechData) -> None:
    """The files of an epoch's batches, read ahead as in training."""
    seed = data.config.train.seed
    plan = epoch_plan(data.items, data.config, seed, 0)
    for batch in read_ahead(plan, data.items, windows(data.items, data.config, seed, 0)):
        for example in batch:
            with open_binary(data.waveforms.utterances[example.members[0]].audio) as stream:
                stream.read()


def read_batches(data: SpeechData) -> None:
    """One epoch's batches."""
    for _ in data.batches(epoch_plan(data.items, data.config, data.config.train.seed, 0), epoch=0):
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a prepared folder of loose files")
    parser.add_argument("--hours", type=float, default=1.0, help="how much of its training set is read")
    parser.add_argument("--shard-mb", type=float, default=1.0, help="size of a shard, megabytes")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    loose: list[Utterance] = []
    for utterance in read_manifest(arguments.data / "train.jsonl"):
        if sum(one.duration for one in loose) < arguments.hours * 3600:
            loose.append(utterance)
    with tempfile.TemporaryDirectory(dir=arguments.data) as folder:
        packed = pack(folder, {"train": loose}, arguments.shard_mb)["train"]
        compare({"loose files": loose, "shards": packed})


def compare(contestants: dict[str, list[Utterance]]) -> None:
    """Print how fast each list of recordings is read."""
    loose = contestants["loose files"]
    hours = sum(utterance.duration for utterance in loose) / 3600
    megabytes = sum(size(utterance.audio) or 0 for utterance in loose) / 1e6
    counts = ", ".join(f"{len(files(utterances)):,} {name}" for name, utterances in contestants.items())
    print(f"{hours:.2f} hours, {megabytes:.0f} MB: {counts}; median of {ROUNDS} rounds, from disk")
    print(f"{'':>24} {'':>12} {'seconds':>9} {'hours/s':>9} {'MB/s':>9}")
    ways: list[tuple[str, Callable[[SpeechData], None], int]] = [
        ("bytes alone", read_bytes, 0),
        ("batches, no worker", read_batches, 0),
        ("batches, 2 workers", read_batches, 2),
    ]
    for label, read, workers in ways:
        config = parse_config({"batches": {"cache_mb": 0, "workers": workers}, "augment": QUIET})
        normalizer = Normalizer.from_config(config.text)
        seconds: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(ROUNDS):
            for name, utterances in contestants.items():
                data = SpeechData(utterances, config, normalizer, None)
                forget(files(utterances))
                start = time.perf_counter()
                read(data)
                seconds[name].append(time.perf_counter() - start)
        for name, times in seconds.items():
            took = median(times)
            print(f"{label:>24} {name:>12} {took:9.2f} {hours / took:9.2f} {megabytes / took:9.1f}")


if __name__ == "__main__":
    main()
