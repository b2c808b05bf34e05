"""Whether a run may go on: its folder, its settings and its data must be those that it was started with."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from asr.atomic import leftovers
from asr.config import Config, Section
from asr.config_file import config_yaml, load_config
from asr.device import uses_bf16
from asr.errors import AsrError, TrainingError
from asr.model.file import MODEL_NAME
from asr.train.checkpoint import checkpoints
from asr.train.group import Group
from asr.train.journal import read_log

# What may change between a stop and --resume: epochs only grow; a device or thread more rounds differently.
# Where noise and rooms are may change too; which they are, `Data.id` says.
_MAY_CHANGE = (
    "batches.workers",
    "batches.cache_mb",
    "batches.unreadable",
    "train.device",
    "train.threads",
    "train.epochs",
    "augment.noise_files",
    "augment.reverb_files",
)


def refuse_changes(config: Config, out: Path, resume: bool) -> None:
    """Make sure that a run folder is new, or that the run in it may go on under this config.

    Raises:
        TrainingError: Neither holds.
    """
    file = out / "config.yaml"
    saved = checkpoints(out / "checkpoints")
    begun = saved or read_log(out / "log.jsonl") or (out / MODEL_NAME).exists()
    if begun and not resume:
        raise TrainingError(f"{out}: contains a run; use --resume to continue it, or another --out for a new one")
    if begun and not (saved and file.exists()):  # a run has both before it logs its first step
        lost = file.name if saved else "all checkpoints"
        raise TrainingError(
            f"{out}: its run has lost {lost} and cannot be resumed; nothing was changed. Restore a copy, or start a "
            "new run with another --out"
        )
    if begun:
        before = load_config(file)
        changed = [line for line in differences(before, config) if not line.startswith(_MAY_CHANGE)]
        if config.train.epochs < before.train.epochs:
            changed.append(f"train.epochs: {before.train.epochs} -> {config.train.epochs}, but it can only increase")
        if changed:
            raise TrainingError(
                f"{out}: cannot resume with other settings: {'; '.join(changed)}; "
                "to train with these from the start, choose another --out or move that folder away"
            )
    elif out.exists() and not _barely_begun(out):
        raise TrainingError(f"{out}: not empty, and not a run folder")


def _barely_begun(out: Path) -> bool:
    """Whether a folder is empty, or has only what a run writes before its first checkpoint."""
    file = out / "config.yaml"
    others = {path.name for path in out.iterdir() if path not in leftovers(out)}
    if not file.exists():
        return not others
    try:
        ours = file.read_text(encoding="utf-8") == config_yaml(load_config(file))
    except (AsrError, ValueError):
        return False  # somebody's own, or of another version
    return ours and others <= {file.name, "checkpoints", "tensorboard", "log.jsonl", "heard.json"}


def settings_id(config: Config) -> str:
    """Truncated hash of the settings that stay as they are in a run; a setting not used yet changes nothing in it."""
    settings = config.model_dump(mode="json", exclude_defaults=True)
    for path in _MAY_CHANGE:
        section, _, name = path.partition(".")
        settings.get(section, {}).pop(name, None)
    used = {section: fields for section, fields in settings.items() if fields}
    return hashlib.sha256(json.dumps(used, sort_keys=True).encode()).hexdigest()[:16]


def refuse_other_run(state: dict[str, Any], config: Config, data: Path, data_id: str, out: Path) -> None:
    """Make sure that a checkpoint is of the run that is to go on.

    Raises:
        TrainingError: It is not.
    """
    run_id = state.get("run_id", state.get("data_id", ""))  # the first checkpoints had an id of the data alone
    before, _, settings = run_id.partition(" ")
    if before != data_id:
        raise TrainingError(
            f"{data}: not the training and validation sets that {out} was started with; to train on these from the "
            f"start, choose another --out or move {out} away (shards, batches.cache_mb, the recordings of "
            "augment.noise_files and augment.reverb_files, and the version of asr must be as they were, too)"
        )
    if settings and settings != settings_id(config):
        raise TrainingError(
            f"{out}: its newest checkpoint, of step {state['progress']['step']}, is of a run with other settings; "
            "nothing was changed. Move that file away, and --resume continues from the one before it"
        )
    if state["progress"]["best_epoch"] >= 0 and not (out / MODEL_NAME).exists():
        raise TrainingError(
            f"{out}: its run has lost {MODEL_NAME}, the best epoch so far; nothing was changed. Restore a copy, "
            "or start a new run with another --out"
        )


def refuse_unlike_processes(group: Group, config: Config, data_id: str) -> None:
    """Make sure that all processes train with the same settings on the same data, so that their gradients add up.

    Raises:
        TrainingError: They do not, in each of them.
    """
    bf16 = uses_bf16(config.train.bf16, group.device)
    # The rate of each step follows from the epochs, and what is left out of it from how much may be.
    settings = settings_id(config), config.train.epochs, config.batches.unreadable
    for what, mine in (("settings", settings), ("training and validation sets", data_id)):
        if len(set(group.gather([mine]))) > 1:
            raise TrainingError(f"the training processes have different {what}")
    if len(set(group.gather([bf16]))) > 1:
        raise TrainingError("only some of the training processes support bfloat16: set train.bf16=off")


def differences(before: Config, now: Config) -> list[str]:
    """Settings that differ, each as `section.field: before -> now`."""
    lines = []
    for section, old in before:
        new = getattr(now, section)
        if not isinstance(old, Section):
            lines += [f"{section}: {old!r} -> {new!r}"] if old != new else []
            continue
        for name, value in old:
            if value != getattr(new, name):
                lines.append(f"{section}.{name}: {value!r} -> {getattr(new, name)!r}")
    return lines
