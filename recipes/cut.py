"""A smaller training set: as many minutes of a prepared corpus as asked for, validation and test whole.

    python recipes/cut.py DATA MINUTES OUT [--seed 1]

Every text comes once before any comes twice, as someone would record them, and every speaker as often as the others, or
about as often where texts repeat; of one seed, a larger choice holds the smaller ones. Audio is not copied: the
manifests of OUT name it where it is.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

FILES = ("train.jsonl", "valid.jsonl", "test.jsonl", "dataset.yaml")


def cut(data: Path, minutes: float, out: Path, seed: int) -> float:
    """Write the manifests and dataset.yaml of the smaller corpus; returns its minutes of training.

    Raises:
        SystemExit: The training set is shorter than that, or something is wrong with the folders.
    """
    if not 0 < minutes < math.inf:
        raise SystemExit(f"minutes must be a number above 0, not {minutes}")
    if out.resolve() == data.resolve():
        raise SystemExit(f"{out}: choose another folder, the corpus itself would be cut")
    if missing := [name for name in FILES if not (data / name).is_file()]:
        raise SystemExit(f"{data}: no prepared corpus, it has no {missing[0]}")
    clips = _read(data / "train.jsonl")
    random.Random(seed).shuffle(clips)
    times: dict[str, Counter[str | None]] = {"text": Counter(), "speaker": Counter()}
    ranks = []
    for place, clip in enumerate(clips):
        ranks.append((times["text"][clip["text"]], times["speaker"][clip.get("speaker")], place))
        times["text"][clip["text"]] += 1
        times["speaker"][clip.get("speaker")] += 1
    chosen, seconds = [], 0.0
    for _, _, place in sorted(ranks):
        if seconds >= 60 * minutes:
            break
        chosen.append(clips[place])
        seconds += clips[place]["duration"]
    if seconds < 60 * minutes:
        raise SystemExit(f"{data}: its training set has {seconds / 60:.1f} minutes, not {minutes:g}")
    out.mkdir(parents=True, exist_ok=True)
    for name in ("valid", "test"):
        _write(out / f"{name}.jsonl", _read(data / f"{name}.jsonl"), data)
    shutil.copy(data / "dataset.yaml", out)
    _write(out / "train.jsonl", chosen, data)  # last: a folder that has it is whole
    return seconds / 60


def _read(path: Path) -> list[dict[str, Any]]:
    """The lines of a manifest; other line breaks may stand in its texts."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def _write(path: Path, clips: list[dict[str, Any]], data: Path) -> None:
    """A manifest whose audio is named from its own folder."""
    for clip in clips:
        audio = str(clip["audio"])
        clip["audio"] = audio if Path(audio).is_absolute() else os.path.relpath(data / audio, path.parent)
    path.write_text("".join(json.dumps(clip, ensure_ascii=False) + "\n" for clip in clips), encoding="utf-8")


def main() -> None:
    """Cut, and say how long it became."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("minutes", type=float)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    minutes = cut(arguments.data, arguments.minutes, arguments.out, arguments.seed)
    print(f"{arguments.out}: {minutes:.1f} minutes of training", file=sys.stderr)


if __name__ == "__main__":
    main()
