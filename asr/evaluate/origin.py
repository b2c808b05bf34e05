"""Where the texts of a report come from: what a reader must know to believe them, or to make them again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
        "hypotheses": None,
        "normalizer": recognizer.normalizer.to_json(),
        "decoding": recognizer.decoding.settings,
        "batch_frames": batch_frames,
        "device": str(recognizer.device),
    }
    return Origin(fields, recognizer.tokenizer.unknown)


def by_others(name: str, hypotheses: Path, normalizer: Normalizer) -> Origin:
    """Texts from a file, by whatever recogniser."""
    fields = {
        "model_id": None,
        "model": {"name": name, "training": {}},
        "hypotheses": {"file": str(hypotheses), "sha256": hashlib.sha256(hypotheses.read_bytes()).hexdigest()},
        "normalizer": normalizer.to_json(),
        "decoding": None,
        "batch_frames": None,
        "device": None,
    }
    return Origin(fields)
