"""A smaller training set: as many minutes of a prepared corpus as asked for, validation and test whole.

    python recipes/cut.py DATA MINUTES OUT [--seed 1]

Every text comes once before any comes twice, as someone would record them, and every speaker as often as the others;
of one seed, a larger choice holds the smaller ones. Audio is not copied: the manifests of OUT name it where it is.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
from collections import Counter
from pathlib import Path


def cut(data: Path, minutes: float, out: Path, seed: int) -> float:
    """Write the manifests and dataset.yaml of the smaller corpus; returns its minutes of training.

    Raises:
        SystemExit: The training set is shorter than that.
    """
    clips = [json.loads(line) for line in (data / "train.jsonl").read_text(encoding="utf-8").splitlines()]
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
        lines = (data / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        _write(out / f"{name}.jsonl", [json.loads(line) for line in lines], data)
    _write(out / "train.jsonl", chosen, data)
    shutil.copy(data / "dataset.yaml", out)
    return seconds / 60


def _write(path: Path, clips: list[dict[str, object]], data: Path) -> None:
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
