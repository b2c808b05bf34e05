"""A smaller training set: as many minutes of a prepared corpus as asked for, validation and test whole.

    python recipes/cut.py DATA MINUTES OUT [--seed 1]

Every text comes once before any comes twice, as someone would record them, and every speaker as often as the others, or
about as often where texts repeat; of one seed, a larger choice holds the smaller ones. Audio is not copied: the
manifests of OUT name it where it is.
"""

from __future__ import annotations

import argparse
import math
import random
import shutil
import sys
from collections import Counter
from pathlib import Path

from asr.data.manifest import read_manifest, write_manifest
from asr.errors import AsrError

FILES = ("train.jsonl", "valid.jsonl", "test.jsonl", "dataset.yaml")


def cut(data: Path, minutes: float, out: Path, seed: int) -> float:
    """Write the manifests and dataset.yaml of the smaller corpus; returns its minutes of training.

    Raises:
        SystemExit: The training set is shorter than that, or something is wrong with the folders.
        ManifestError: A manifest cannot be used.
    """
    if not 0 < minutes < math.inf:
        raise SystemExit(f"minutes must be a number above 0, not {minutes}")
    if out.resolve() == data.resolve():
        raise SystemExit(f"{out}: choose another folder, the corpus itself would be cut")
    if missing := [name for name in FILES if not (data / name).is_file()]:
        raise SystemExit(f"{data}: no prepared corpus, it has no {missing[0]}")
    clips = read_manifest(data / "train.jsonl")
    random.Random(seed).shuffle(clips)
    times: dict[str, Counter[str | None]] = {"text": Counter(), "speaker": Counter()}
    ranks = []
    for place, clip in enumerate(clips):
        ranks.append((times["text"][clip.text], times["speaker"][clip.speaker], place))
        times["text"][clip.text] += 1
        times["speaker"][clip.speaker] += 1
    chosen, seconds = [], 0.0
    for _, _, place in sorted(ranks):
        if seconds >= 60 * minutes:
            break
        chosen.append(clips[place])
        seconds += clips[place].duration
    if seconds < 60 * minutes:
        raise SystemExit(f"{data}: its training set has {seconds / 60:.1f} minutes, not {minutes:g}")
    for name in ("valid", "test"):
        write_manifest(out / f"{name}.jsonl", read_manifest(data / f"{name}.jsonl"))
    shutil.copy(data / "dataset.yaml", out)
    write_manifest(out / "train.jsonl", chosen)  # last: a folder that has it is whole
    return seconds / 60


def main() -> None:
    """Cut, and say how long it became."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("minutes", type=float)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    try:
        minutes = cut(arguments.data, arguments.minutes, arguments.out, arguments.seed)
    except AsrError as error:
        raise SystemExit(str(error)) from None
    print(f"{arguments.out}: {minutes:.1f} minutes of training", file=sys.stderr)


if __name__ == "__main__":
    main()
