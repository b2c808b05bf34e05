"""What a model has heard before of the recordings that it is measured on: see `asr.data.fingerprints`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from asr.data.fingerprints import PRINT, Prints, from_json, known, speaker_hashes
from asr.evaluate.splits import Split
from asr.wording import counted

_LISTED = 100  # ids in report.json
# What it means for the rate that is measured, by what the model heard them for.
MEANING = {
    "train": "seen in training, or indistinguishable from recordings that were: expect more errors on unseen ones",
    "valid": "in the validation set that chose this model: expect slightly more errors on unseen recordings",
    "tune": "in the set that its decoding was tuned on: expect slightly more errors on unseen recordings",
}


def seen(heard: Mapping[str, Mapping[str, str]], split: Split, prints: Mapping[str, Prints]) -> dict[str, Any] | None:
    """Which utterances of a split a model has heard, and how many speakers, by what for.

    Args:
        heard: What it remembers; empty: nothing, so nothing can be said.
        split: What it is measured on.
        prints: The fingerprints of the split's recordings by utterance id, (1,) each.

    Returns:
        `{"train": {"utterances", "ids", "speakers", "compared", "too_short"}, ...}`: how many it has heard, ids at
        most 100; of how many recordings the sound was compared, and how many have no print of it, so that only their
        ids and durations were. None where it does not remember.
    """
    if not heard:
        return None
    ids = [utterance.id for utterance in split.utterances if utterance.id in prints]
    rows = np.concatenate([prints[id] for id in ids]) if ids else np.zeros(0, PRINT)
    too_short = int((~rows["sound"].any(axis=1)).sum())
    voices = speaker_hashes(split.dataset.name, split.utterances)
    found = {}
    for name, record in heard.items():
        recordings, speakers = from_json(record)
        again = [id for id, one in zip(ids, known(rows, recordings), strict=True) if one]
        found[name] = {
            "utterances": len(again),
            "ids": again[:_LISTED],
            "speakers": len(voices & speakers),
            "compared": len(ids) - too_short,
            "too_short": too_short,
        }
    return found


def warnings(split: Mapping[str, Any]) -> list[str]:
    """What a reader of a split's rates must know, a line each, gravest first; of a split of report.json."""
    lines = []
    for name, meaning in MEANING.items():
        count = ((split["heard"] or {}).get(name) or {}).get("utterances", 0)
        if count:
            ids = split["heard"][name]["ids"]
            examples = f" ({', '.join(ids[:3])}{', ...' if count > 3 else ''})"
            total = counted(split["utterances"], "utterance")
            lines.append(f"{count:,} of {total} {_were(count)} {meaning}{examples}")
    speakers = ((split["heard"] or {}).get("train") or {}).get("speakers", 0)
    if speakers and "speaker" not in split["dataset"]["shared"]:
        lines.append(f"{speakers:,} of its speakers {_were(speakers)} seen in training")
    return lines


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def heard_in_training(split: Mapping[str, Any]) -> str:
    """The mark of a split of report.json beside its rates, where they are copied from; empty where none is due."""
    count = ((split["heard"] or {}).get("train") or {}).get("utterances", 0)
    return f"{count:,} seen in training" if count else ""


def heard_again(report: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """All warnings of a report, as (split, line)."""
    return [(name, line) for name, split in report["splits"].items() for line in warnings(split)]
