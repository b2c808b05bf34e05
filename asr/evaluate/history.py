"""How a model was trained, as its run folder tells: how long, on what, and by which commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from asr.train.journal import read_log

_OF_A_SITTING = ("command", "program", "processor", "device", "processes", "threads", "precision")


def history(run: Path) -> dict[str, Any] | None:
    """What a report says about the training of its model.

    Args:
        run: The folder of the model file.

    Returns:
        `{"seconds", "epochs", "steps", "sittings"}`: the steps by the clock, of all processes together, without
        validation and what writes checkpoints; the sittings in which it was done, those alike once; None where the
        folder is no run's.
    """
    records = read_log(run / "log.jsonl")
    epochs = [record for record in records if record["kind"] == "epoch"]
    if not epochs:
        return None
    sittings: list[dict[str, Any]] = []
    for record in records:
        if record["kind"] == "sitting":
            sitting = {name: record.get(name) for name in _OF_A_SITTING}
            sittings += [sitting] if sitting not in sittings else []
    last = epochs[-1]
    return {
        "seconds": round(last["seconds"], 1),
        "epochs": last["epoch"],
        "steps": last["step"],
        "sittings": sittings,
    }
