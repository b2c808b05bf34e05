"""Checkpoints: the whole state of a run in one file, from which it goes on exactly.

No generator state is kept, since every draw is a function of (seed, step) or (seed, epoch, utterance).
"""

from __future__ import annotations

import pickle
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from asr.atomic import replacing

KEPT = 2
_DAMAGE = (zipfile.BadZipFile, pickle.UnpicklingError, EOFError, OSError, RuntimeError, ValueError, KeyError)


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


def save_checkpoint(
    folder: Path,
    progress: Progress,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: dict[str, object] | None,
    data_id: str,
) -> Path:
    """Write `step-N.pt` and leave the newest `KEPT` checkpoints in the folder.

    Those of later steps go too: the run went back before them since they are damaged, or are those of another run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{progress.step:08d}.pt"
    state = {
        "progress": asdict(progress),
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "average": average,
        "data_id": data_id,
    }
    for left in folder.glob(".*.tmp"):  # by a process that was killed while it wrote
        left.unlink()
    with replacing(path) as aside:
        torch.save(state, aside)
    kept = [other for other in checkpoints(folder) if other <= path][:KEPT]
    for other in checkpoints(folder):
        if other not in kept:
            other.unlink()
    return path


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, newest first."""
    return sorted(folder.glob("step-*.pt"), reverse=True)


def load_checkpoint(folder: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """The newest checkpoint that can be read.

    Returns:
        Its state (None where there is none), and a line about each newer one that is damaged.
    """
    damaged: list[str] = []
    for path in checkpoints(folder):
        try:
            with zipfile.ZipFile(path) as archive:  # PyTorch reads tensors without looking at their checksums
                if part := archive.testzip():
                    raise ValueError(f"the checksum of {part} is wrong")
            return torch.load(path, map_location="cpu", weights_only=True), damaged
        except _DAMAGE as error:
            damaged.append(f"{path}: damaged, going back to the one before it ({' '.join(str(error).split())[:80]})")
    return None, damaged
