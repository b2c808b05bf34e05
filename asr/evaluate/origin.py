"""Where the texts of a report come from: what a reader must know to believe them, or to make them again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr.evaluate.splits import file_hash
from asr.recognizer import Recognizer
from asr.text import Normalizer


@dataclass(frozen=True)
class Origin:
    """Who recognised, and how it is scored.

    Attributes:
        fields: Of report.json; the same keys whoever it was, null where there is nothing to say.
        unknown: The characters of a text that the recogniser cannot write; None where that is not known.
    """

    fields: dict[str, Any]
    unknown: Callable[[str], set[str]] | None = None


def by_recognizer(recognizer: Recognizer, batch_frames: int) -> Origin:
    """Texts by a model of ours."""
    fields = {
        "model_id": recognizer.model_id,
        "model": {"name": recognizer.file.config.name, "training": recognizer.file.training},
        "config": recognizer.file.config.model_dump(mode="json"),
        "hypotheses": None,
        "normalizer": recognizer.normalizer.to_json(),
        "decoding": recognizer.decoding.settings,
        "profile": recognizer.decoding.profile.to_json() if recognizer.decoding.profile else None,
        "batch_frames": batch_frames,
        "device": str(recognizer.device),
    }
    return Origin(fields, recognizer.tokenizer.unknown)


def by_others(name: str, hypotheses: Path, normalizer: Normalizer) -> Origin:
    """Texts from a file, by whatever recogniser."""
    fields = {
        "model_id": None,
        "model": {"name": name, "training": {}},
        "config": None,
        "hypotheses": {"file": str(hypotheses), "sha256": file_hash(hypotheses)},
        "normalizer": normalizer.to_json(),
        "decoding": None,
        "profile": None,
        "batch_frames": None,
        "device": None,
    }
    return Origin(fields)
