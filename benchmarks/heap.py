"""Training steps with and without the memory kept that each of them frees (`asr.train.heap`).

    python benchmarks/heap.py [--conf librispeech] [--threads N]

Each line is a process of its own, in turn with the other. It steps through batches of several lengths, the largest
first, as training does. Prints seconds of audio a second, page faults a step but for the first round, and the largest
resident memory.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time

SECONDS = (16, 11, 13, 9, 15, 12)  # lengths of the utterances, batch by batch
ROUNDS = 3


def steps(conf: str, threads: int, kept: bool) -> str:
    """Take the steps in this process: seconds of audio a second, page faults a step and gigabytes, as text."""
    import torch
    from step import make_step

    from asr.config_file import load_config
    from asr.device import uses_bf16
    from asr.train.heap import keep_freed_memory

    if kept:
        keep_freed_memory()
    torch.set_num_threads(threads)
    config, bf16 = load_config(conf), uses_bf16("auto", torch.device("cpu"))
    counts = [config.batches.max_frames // (100 * seconds) for seconds in SECONDS]
    takes = [
        make_step(conf, count, seconds * config.features.sample_rate, bf16)
        for count, seconds in zip(counts, SECONDS, strict=True)
    ]
    rates = []
    for number in range(ROUNDS * len(takes)):
        if number == len(takes):
            faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        batch = number % len(takes)
        start = time.perf_counter()
        takes[batch]()
        rates.append(counts[batch] * SECONDS[batch] / (time.perf_counter() - start))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    faults = (usage.ru_minflt - faults) // (len(rates) - len(takes))
    return f"{statistics.median(rates[len(takes) :]):8.1f}{faults:12,}{usage.ru_maxrss / 1e6:8.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conf", default="librispeech")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--one", choices=("kept", "freed"), help="measure one way, in this process")
    arguments = parser.parse_args()
    if arguments.one:
        print(steps(arguments.conf, arguments.threads, arguments.one == "kept"))
        return
    print(f"{arguments.conf}, {arguments.threads} threads\n{'memory':8}{'audio s/s':>10}{'faults/step':>12}{'GB':>6}")
    for way in ("freed", "kept") * 3:
        command = [sys.executable, __file__, *sys.argv[1:], "--one", way]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        print(f"{way:8}{done.stdout.rstrip()}", flush=True)


if __name__ == "__main__":
    main()
