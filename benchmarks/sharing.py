"""A training step on all threads, alone and beside another user's on one thread, by how OpenMP's threads wait.

    python benchmarks/sharing.py [--conf librispeech] [--threads N]

`asr` has them sleep (`asr/cli/__init__.py`); without it they spin. Prints seconds of audio a second.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

FRAMES, SECONDS, STEPS, ENDLESS = 8000, 10, 5, 1_000_000
POLICIES = {"spin": {}, "sleep": {"OMP_WAIT_POLICY": "passive"}}


def step_seconds(conf: str, threads: int, steps: int) -> float:
    """Median seconds of a step of `FRAMES` frames but for the first, in this process."""
    import torch
    from step import make_step

    from asr.config_file import load_config
    from asr.device import uses_bf16

    torch.set_num_threads(threads)
    samples = SECONDS * load_config(conf).features.sample_rate
    step = make_step(conf, FRAMES // (100 * SECONDS), samples, uses_bf16("auto", torch.device("cpu")))
    took = []
    for _ in range(steps):
        start = time.perf_counter()
        step()
        took.append(time.perf_counter() - start)
    return statistics.median(took[1:])


def command(conf: str, threads: int, steps: int) -> list[str]:
    """What measures steps in a process of its own."""
    one = ["--one", "--conf", conf, "--threads", str(threads), "--steps", str(steps)]
    return [sys.executable, __file__, *one]


@contextmanager
def another_training(conf: str, wanted: bool) -> Iterator[None]:
    """One that keeps a core busy, in a session of its own: Linux then gives it as much of a core as all of this one."""
    busy = subprocess.Popen(command(conf, 1, ENDLESS), start_new_session=True) if wanted else None
    try:
        if busy:
            time.sleep(10)  # it has begun
        yield
    finally:
        if busy:
            busy.kill()
            busy.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conf", default="librispeech")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--one", action="store_true", help="measure, in this process")
    parser.add_argument("--steps", type=int, default=STEPS)
    arguments = parser.parse_args()
    if arguments.one:
        print(step_seconds(arguments.conf, arguments.threads, arguments.steps))
        return
    print(f"{'threads that wait':>18}{'alone':>10}{'beside another':>18}")
    for name, policy in list(POLICIES.items()) * 2:
        line = f"{name:>18}"
        for beside, width in ((False, 10), (True, 18)):
            with another_training(arguments.conf, beside):
                wanted = command(arguments.conf, arguments.threads, arguments.steps)
                done = subprocess.run(wanted, capture_output=True, text=True, check=True, env=os.environ | policy)
            line += f"{FRAMES / 100 / float(done.stdout):{width}.0f}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
