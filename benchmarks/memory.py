"""Memory of a training step against the bound on a batch's padded frames: predicted from the shapes, and measured.

    python benchmarks/memory.py [--conf librispeech] [--seconds S] [--threads N]

Each bound runs in a process of its own, whose largest resident memory is read after three steps; the memory of the
same process before the first step is taken off. The batch holds as many utterances of S seconds as the bound allows.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys

BOUNDS = (2000, 4000, 8000, 16000, 32000)  # frames
_FLOAT = 4  # bytes


def predicted(conf: str, frames: int, bf16: bool) -> float:
    """Bytes that a step keeps, counted from the shapes; buffers of kernels come on top."""
    from asr.config_file import load_config
    from asr.model.acoustic import AcousticModel

    config = load_config(conf)
    model = config.model
    number = 2 if bf16 else _FLOAT
    width = config.features.bands
    weights = sum(weight.numel() for weight in AcousticModel(config, 29).parameters())
    held = weights * _FLOAT * 3.0  # their gradient and the two moments of AdamW; they themselves were there before
    held += frames * width * _FLOAT * 3.0  # features: raw, normalised, masked
    steps, channels = float(frames), 1
    for conv2d in model.conv2d:
        held += steps * width * channels * number * 2  # its input, and that padded
        steps, width, channels = steps / conv2d.stride[0], -(-width // conv2d.stride[1]), conv2d.channels
        held += steps * width * channels * (number + 3 * _FLOAT)  # its output, norm, activation, dropout
    width *= channels
    for conv in model.subsample:
        held += steps * width * number  # its input
        steps /= conv.stride
        width = conv.channels
        held += steps * width * (number + 3 * _FLOAT)  # its output, activation, norm, dropout
    for _ in range(model.layers):
        outputs = 2 * model.hidden if model.merge == "concat" else model.hidden
        held += steps * width * 2 * number  # the input of both directions, the second reversed
        # both directions: four gates and a cell state kept by the kernel, the output and its reversal
        held += steps * 2 * model.hidden * (4 * number + _FLOAT + 3 * number)
        held += steps * outputs * (number + 2 * _FLOAT)  # joined, norm, dropout
        width = outputs
    return held


def measured(conf: str, frames: int, seconds: float, threads: int, bf16: bool) -> float:
    """Bytes by which training steps on batches of so many frames raise the largest resident memory of a process."""
    import torch
    from step import make_step

    from asr.config_file import load_config

    torch.set_num_threads(threads)
    features = load_config(conf).features
    count = max(1, int(frames / (seconds * 100)))
    samples = int(features.sample_rate * frames / 100 / count) - features.hop
    step = make_step(conf, count, samples, bf16)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    for _ in range(3):
        step()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conf", default="librispeech")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--one", nargs=2, metavar=("FRAMES", "BF16"), help="measure one bound, in this process")
    arguments = parser.parse_args()
    if arguments.one:
        frames, bf16 = map(int, arguments.one)
        print(measured(arguments.conf, frames, arguments.seconds, arguments.threads, bool(bf16)))
        return
    print(f"{arguments.conf}, utterances of {arguments.seconds:g} s, {arguments.threads} threads; megabytes")
    print(f"{'frames':>8}{'float32':>12}{'predicted':>11}{'bfloat16':>12}{'predicted':>11}")
    for frames in BOUNDS:
        line = f"{frames:8}"
        for bf16 in (0, 1):
            command = [sys.executable, __file__, *sys.argv[1:], "--one", str(frames), str(bf16)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            line += f"{float(done.stdout) / 1e6:12.0f}{predicted(arguments.conf, frames, bool(bf16)) / 1e6:11.0f}"
        print(line)


if __name__ == "__main__":
    main()
