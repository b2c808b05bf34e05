"""A training run from its manifests to its model file: set up, or taken up again, then handed to the loop."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import asr
from asr.atomic import claimed, leftovers, replacing
from asr.config import Config, Section, config_yaml, load_config
from asr.data.dataset import SpeechData
from asr.data.manifest import Dataset, Utterance, read_dataset, read_manifest
from asr.data.plan import plain_plan
from asr.data.randomness import generator, torch_seed
from asr.data.splits import refuse_overlaps
from asr.errors import ManifestError, TrainingError
from asr.model.acoustic import AcousticModel
from asr.model.file import MODEL_NAME, ModelFile, Start, initialise_from, save_model
from asr.text import Normalizer, Tokenizer
from asr.train.average import MovingAverage
from asr.train.checkpoint import Progress, checkpoints, load_checkpoint
from asr.train.curves import draw_curves
from asr.train.group import Group
from asr.train.journal import Journal, Silence, read_log
from asr.train.loop import Trainer
from asr.train.schedule import make_optimizer
from asr.train.selection import select
from asr.train.stop import stops_told
from asr.train.validate import Validation

_STATISTICS_UTTERANCES = 1000  # enough for a mean and a variance a band
# What may change between a stop and --resume: epochs only grow; a device or thread more rounds differently.
_MAY_CHANGE = ("batches.workers", "train.device", "train.threads", "train.epochs")


@dataclass
class Data:
    """A data folder read: its splits, and what they are."""

    dataset: Dataset
    train: list[Utterance]
    valid: list[Utterance]

    @property
    def id(self) -> str:
        """Truncated hash of what is trained and validated on: ids, texts, durations, and speakers, who decide joins."""
        utterances = [*self.train, *self.valid]
        lines = (f"{item.id}\t{item.text}\t{item.duration:.3f}\t{item.speaker}" for item in utterances)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def read_data(folder: Path) -> Data:
    """The splits of a data folder, refused where they overlap.

    Raises:
        ManifestError: A manifest is missing or bad, or splits share what they must not.
    """
    if folder.is_file():
        raise ManifestError(f"{folder}: is a file; what is needed is the folder of train.jsonl and valid.jsonl")
    splits = {name: read_manifest(folder / f"{name}.jsonl") for name in ("train", "valid")}
    dataset = read_dataset(folder)
    test = folder / "test.jsonl"
    refuse_overlaps(splits | ({"test": read_manifest(test)} if test.exists() else {}), dataset)
    return Data(dataset, splits["train"], splits["valid"])


def train(config: Config, data: Path, out: Path, resume: bool = False) -> Path:
    """Train a model, or go on with a run that was stopped.

    Args:
        config: All settings.
        data: A folder with `train.jsonl`, `valid.jsonl` and, where there is one, `test.jsonl`, which is only read to
            refuse splits that overlap.
        out: The run folder.
        resume: Go on from the last checkpoint if the run exists, start it if not.

    Returns:
        The model file.

    Raises:
        TrainingError: The run exists and `resume` is not given, or cannot go on under these settings and data.
        AsrError: Another process is training in the run folder, or there is no such device.
        ManifestError: See `read_data`.
    """
    group = Group.join(config.train.device)
    try:
        return _train(config, data, out, resume, group)
    finally:
        group.leave()


def _train(config: Config, data: Path, out: Path, resume: bool, group: Group) -> Path:
    # All that can be refused is refused before anything is written.
    content = read_data(data)
    _refuse_changes(config, out, resume)
    if config.train.accumulate < group.size:
        raise TrainingError(
            f"train.accumulate: {config.train.accumulate} batches a step leave some of {group.size} processes without "
            f"work; with a multiple of {group.size}, and batches.max_frames the smaller, a step stays as large"
        )
    state, damaged = load_checkpoint(out / "checkpoints") if resume else (None, [])
    if state:
        _refuse_other_run(state, config, data, content.id, out)
    progress = Progress(**state["progress"]) if state else Progress()
    group.wait()
    folder = _run_folder(config, out) if group.leads else nullcontext()
    with folder, stops_told(), Journal(out, progress.step) if group.leads else Silence() as journal:
        for line in damaged:
            journal.say(line)
        trainer = _set_up(config, content, out, progress, state, group, journal)
        try:
            trainer.fit(journal)
        except KeyboardInterrupt:
            journal.say(f"stopped in step {progress.step + 1}; the same command with --resume goes on")
            raise
        if group.leads:
            draw_curves(out)
    if progress.best_epoch < 0:
        raise TrainingError(f"{out}: no epoch was better than nothing at all; look at {out / 'log.jsonl'}")
    return out / MODEL_NAME


@contextmanager
def _run_folder(config: Config, out: Path) -> Iterator[None]:
    """The run folder, with its config in it, and no other process that trains in it."""
    out.mkdir(parents=True, exist_ok=True)
    with claimed(out):
        for left in leftovers(out):
            left.unlink()
        with replacing(out / "config.yaml") as aside:
            aside.write_text(config_yaml(config), encoding="utf-8")
        yield


def text_tools(config: Config, texts: Sequence[str]) -> tuple[Normalizer, Tokenizer]:
    """The normaliser, and the alphabet of the training texts."""
    normalizer = Normalizer.from_config(config.text)
    joins = [config.augment.join_text] if config.augment.join_seconds else []
    return normalizer, Tokenizer.build([*map(normalizer, texts), *joins])


def new_model(
    config: Config, tokenizer: Tokenizer, training: SpeechData, say: Callable[[str], None]
) -> tuple[AcousticModel, Start]:
    """A model with its starting weights, random from the seed or from `init_from`, and its feature statistics."""
    torch.manual_seed(torch_seed(config.train.seed, "weights"))
    model = AcousticModel(config, len(tokenizer))
    start = Start()
    if config.train.init_from:
        start = initialise_from(model, tokenizer, config.train.init_from)
        say(
            f"{len(start.taken)} tensors from {config.train.init_from}; new: {', '.join(start.left) or 'none'}"
            + (f"; new letters: {' '.join(start.new_tokens)}" if start.new_tokens else "")
        )
    if "mean" not in start.taken:  # else the weights expect the statistics that they came with
        measure_statistics(model, training)
    return model, start


@torch.inference_mode()
def measure_statistics(model: AcousticModel, training: SpeechData) -> None:
    """Set a model's feature mean and standard deviation from a seeded sample of the training set, unaugmented."""
    config = training.config
    rng = generator(config.train.seed, "statistics")
    chosen = set(rng.permutation(len(training.items))[:_STATISTICS_UTTERANCES].tolist())
    plan = [[e for e in examples if e.members[0] in chosen] for examples in plain_plan(training.items, config)]
    count, total, squares = 0, torch.zeros(config.features.mels), torch.zeros(config.features.mels)
    total, squares = total.double(), squares.double()
    for batch in training.batches([examples for examples in plan if examples], epoch=None):
        features, frames = model.raw_features(batch.waveforms, batch.lengths)  # zero beyond each length
        count += int(frames.sum())
        total += features.double().sum((0, 1))
        squares += features.double().square().sum((0, 1))
    mean = total / count
    model.set_statistics(mean.float(), (squares / count - mean.square()).clamp(min=1e-4).sqrt().float())


def _set_up(
    config: Config,
    data: Data,
    out: Path,
    progress: Progress,
    state: dict[str, Any] | None,
    group: Group,
    journal: Journal,
) -> Trainer:
    """Everything that the loop needs, at its start or as a checkpoint left it."""
    if config.train.threads:
        torch.set_num_threads(config.train.threads)
    normalizer, tokenizer = text_tools(config, [utterance.text for utterance in data.train])
    selection = select(data.train, config, normalizer, tokenizer)
    for line in selection.messages():
        journal.say(line)
    if not selection.kept:
        raise TrainingError("no training utterance is left")
    training = SpeechData(selection.kept, config, normalizer, tokenizer)
    validation = SpeechData(data.valid, config, normalizer, None)

    if state:
        model = AcousticModel(config, len(tokenizer))
        model.load_state_dict(state["model"])
    else:
        model, start = new_model(config, tokenizer, training, journal.say)
        progress.started_from = start.model_id
    model.to(group.device)
    optimizer = make_optimizer(model, config.train)
    average = MovingAverage(model, config.train.ema) if config.train.ema else None
    if state:
        optimizer.load_state_dict(state["optimizer"])
        if average:
            average.state = state["average"]

    def keep_best(result: Validation, progress: Progress) -> None:
        facts = {
            "name": config.name,
            "dataset": data.dataset.name,
            "train_utterances": len(selection.kept),
            "train_seconds": round(sum(utterance.duration for utterance in selection.kept), 1),
            "data_id": data.id,
            "started_from": progress.started_from,
            "epoch": progress.epoch + 1,
            "step": progress.step,
            "validation": {"wer": result.wer, "cer": result.cer, "utterances": len(data.valid)},
            "versions": {"asr": asr.__version__, "torch": torch.__version__},
        }
        save_model(out / MODEL_NAME, ModelFile(model, tokenizer, normalizer, facts))

    hours = sum(utterance.duration for utterance in selection.kept) / 3600
    weights = sum(parameter.numel() for parameter in model.parameters())
    journal.say(
        f"{len(selection.kept)} utterances, {hours:.2f} h; {len(tokenizer)} tokens; {weights / 1e6:.2f} M weights; "
        f"{group.size} x {group.device.type}, {torch.get_num_threads()} threads"
        + (f"; from step {progress.step}" if state else "")
    )
    run_id = f"{data.id} {settings_id(config)}"
    return Trainer(model, tokenizer, optimizer, average, training, validation, progress, out, run_id, keep_best, group)


def _refuse_changes(config: Config, out: Path, resume: bool) -> None:
    """Make sure that a run folder is new, or that the run in it may go on under this config.

    Raises:
        TrainingError: Neither holds.
    """
    file = out / "config.yaml"
    saved = checkpoints(out / "checkpoints")
    begun = saved or read_log(out / "log.jsonl") or (out / MODEL_NAME).exists()
    if begun and not resume:
        raise TrainingError(f"{out}: a run is there already; --resume goes on with it, another --out starts afresh")
    if begun and not (saved and file.exists()):  # a run has both before it logs its first step
        lost = file.name if saved else "every checkpoint"
        raise TrainingError(
            f"{out}: the run in it has lost {lost}, so it cannot go on; nothing was changed. Put back a copy, or start "
            "afresh with another --out"
        )
    if begun:
        before = load_config(file)
        changed = [line for line in differences(before, config) if not line.startswith(_MAY_CHANGE)]
        if config.train.epochs < before.train.epochs:
            changed.append(f"train.epochs: {before.train.epochs} -> {config.train.epochs}, but more are possible")
        if changed:
            raise TrainingError(f"{out}: cannot resume under other settings: {'; '.join(changed)}")
    elif not file.exists() and out.exists() and set(out.iterdir()) - set(leftovers(out)):
        raise TrainingError(f"{out}: not empty, and not a run")


def settings_id(config: Config) -> str:
    """Truncated hash of the settings that stay as they are in a run; a setting not used yet changes nothing in it."""
    settings = config.model_dump(mode="json", exclude_defaults=True)
    for path in _MAY_CHANGE:
        section, _, name = path.partition(".")
        settings.get(section, {}).pop(name, None)
    used = {section: fields for section, fields in settings.items() if fields}
    return hashlib.sha256(json.dumps(used, sort_keys=True).encode()).hexdigest()[:16]


def _refuse_other_run(state: dict[str, Any], config: Config, data: Path, data_id: str, out: Path) -> None:
    """Make sure that a checkpoint is of the run that is to go on.

    Raises:
        TrainingError: It is not.
    """
    run_id = state.get("run_id", state.get("data_id", ""))  # the first checkpoints had an id of the data alone
    before, _, settings = run_id.partition(" ")
    if before != data_id:
        raise TrainingError(
            f"{data}: not the training and validation sets that {out} was started with (or another version started it)"
        )
    if settings and settings != settings_id(config):
        raise TrainingError(
            f"{out}: its newest checkpoint, of step {state['progress']['step']}, is of a run with other settings; "
            "nothing was changed. With that file moved away, --resume goes on from the one before it"
        )


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
