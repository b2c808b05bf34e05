"""What else a reader of a split's rates is told, in plain words: nothing of it is cause for alarm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asr.wording import counted

_FOR = {"train": "trained", "valid": "validated", "tune": "tuned"}


def notes(split: Mapping[str, Any]) -> list[str]:
    """A line for each thing worth saying of a split of report.json."""
    return [line for line in (_nothing_found(split), _misdeclared(split)) if line]


def _nothing_found(split: Mapping[str, Any]) -> str:
    """That no recording was found among what the model has heard, and of how many that can be said."""
    heard = split["heard"]
    if not heard or any(record["utterances"] for record in heard.values()):
        return ""
    record = next(iter(heard.values()))
    *others, last = (word for name, word in _FOR.items() if name in heard)
    what = f"{', '.join(others)} and {last}" if others else last
    none = f"{counted(record['compared'], 'recording')} compared with what the model was {what} on, no overlap found"
    short = f"; {record['too_short']:,} too short or quiet for a fingerprint" if record["too_short"] else ""
    return f"{none}{short} (some copies are missed: see docs/guide.md of asr, What a model has heard)"


def _misdeclared(split: Mapping[str, Any]) -> str:
    """That recordings are not as long as their manifest says."""
    found = split["wrong_durations"]
    if not found:
        return ""
    first = found["examples"][0]
    return (
        f"{counted(found['utterances'], 'recording')} with a wrong duration in the manifest ({first['id']}: "
        f"{first['declared']:.2f} s, actually {first['measured']:.2f} s); times here are those of the audio, and asr "
        "check --fix corrects the manifest"
    )
