"""Checkpoints: the whole state of a run in one file, from which it goes on exactly.

No generator state is kept, since every draw is a function of (seed, step) or (seed, epoch, utterance).
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from asr.atomic import leftovers, replacing
from asr.device import out_of_memory
from asr.errors import TrainingError

FORMAT = 1
KEPT = 2
_PARTS = {"progress", "model", "optimizer", "average"}


@dataclass
class Progress:
    """Where a run stands.

    Attributes:
        epoch: The epoch under way, from 0.
        epoch_step: Optimiser steps of it that are done.
        step: Optimiser steps done in all.
        loss: Sum of their losses in this epoch.
        best_epoch: The epoch that was best by validation, -1 before the first.
        best_cer: Its validation character error rate.
        average_cer: That of the average of epochs that is the run's model in its place; infinite where none is.
        stale: With the schedule `plateau`: validations in a row, since the best or the last drop, that were no better.
        drops: With the schedule `plateau`: how often it has dropped the learning rate.
        seconds: Time spent training, over all sittings.
        started_from: The `model_id` of the model that the weights started from; empty where they were random.
        unreadable: Ids of the utterances whose recordings could not be read.
        epochs: How many the run was to have in all, as its last sitting had it; 0 in checkpoints from before that was
            kept.
    """

    epoch: int = 0
    epoch_step: int = 0
    step: int = 0
    loss: float = 0.0
    best_epoch: int = -1
    best_cer: float = float("inf")
    average_cer: float = float("inf")
    stale: int = 0
    drops: int = 0
    seconds: float = 0.0
    started_from: str = ""
    unreadable: list[str] = field(default_factory=list)
    epochs: int = 0


def save_checkpoint(
    folder: Path,
    progress: Progress,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: dict[str, object] | None,
    run_id: str,
) -> Path:
    """Write `step-N.pt` and leave the newest `KEPT` checkpoints in the folder.

    Those of later steps go too: the run went back before them since they are damaged, or are those of another run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{progress.step:08d}.pt"
    state = {
        "format": FORMAT,
        "progress": asdict(progress),
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "average": average,
        "run_id": run_id,
    }
    for left in leftovers(folder):
        left.unlink()
    content = io.BytesIO()  # since of a full disk, torch's writer only says that a position is unexpected
    torch.save(state, content)
    with replacing(path) as aside:
        aside.write_bytes(content.getbuffer())
    kept = [other for other in checkpoints(folder) if other <= path][:KEPT]
    for other in checkpoints(folder):
        if other not in kept:
            other.unlink()
    return path


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, newest first."""
    return sorted(folder.glob("step-*.pt"), reverse=True)


def load_checkpoint(folder: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """The newest checkpoint that is not damaged.

    Returns:
        Its state (None where there is no checkpoint), and a line about each newer one that is damaged.

    Raises:
        TrainingError: All are damaged, or the newest that is not is of another version. Going back before it would
            throw away what is good, so that is left to the user.
    """
    damaged: list[str] = []
    for path in checkpoints(folder):
        try:
            content = path.read_bytes()  # a disk that fails just now has damaged nothing: that error ends the run
            state = _read(content)
        except (OSError, MemoryError):
            raise
        except Exception as error:  # a bit flipped in an archive's tables makes zipfile raise almost anything
            if out_of_memory(error):
                raise
            damaged.append(f"{path}: damaged, falling back to the one before it ({' '.join(str(error).split())[:80]})")
            continue
        _refuse_foreign(state, path)
        return state, damaged
    if damaged:
        raise TrainingError(
            f"{folder}: all checkpoints are damaged ({', '.join(path.name for path in checkpoints(folder))}), so the "
            "run cannot be resumed; nothing was changed. Restore a copy of one, or start a new run with another --out"
        )
    return None, damaged


def _read(content: bytes) -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:  # PyTorch reads tensors without looking at their checksums
        if part := archive.testzip():
            raise ValueError(f"wrong checksum of {part}")
    state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    if not isinstance(state, dict):
        raise ValueError("not a checkpoint of a run")
    return state


def _refuse_foreign(state: dict[str, Any], path: Path) -> None:
    version = state.get("format", 1)  # the first ones did not say
    if version != FORMAT:
        why = f"its format is {version}, but this version of asr reads {FORMAT}"
    elif missing := _PARTS - state.keys():
        why = f"it lacks {', '.join(sorted(missing))}"
    elif unknown := state["progress"].keys() - {field.name for field in fields(Progress)}:
        why = f"{', '.join(sorted(unknown))} is unknown to this version of asr"
    else:
        return
    raise TrainingError(f"{path}: cannot resume from this checkpoint: {why}")
