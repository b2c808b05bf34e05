"""A training run from its manifests to its model file: set up, or taken up again, then handed to the loop."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import asr
from asr.archive import parse
from asr.atomic import claimed, leftovers, replacing
from asr.bpe import learn_tokenizer
from asr.config import Config
from asr.config_file import config_yaml
from asr.data.dataset import SpeechData
from asr.data.manifest import Dataset, Utterance, read_dataset, read_manifest
from asr.data.plan import plain_plan
from asr.data.seeding import generator, torch_seed
from asr.data.sounds import Sounds
from asr.data.splits import refuse_overlaps
from asr.device import uses_bf16
from asr.errors import ManifestError, TrainingError
from asr.model.acoustic import AcousticModel
from asr.model.file import MODEL_NAME, ModelFile, Start, initialise_from, model_path
from asr.program import surroundings
from asr.text import Normalizer, Tokenizer
from asr.train.average import MovingAverage
from asr.train.checkpoint import Progress, checkpoints, load_checkpoint
from asr.train.curves import draw_curves
from asr.train.group import Group
from asr.train.heap import keep_freed_memory
from asr.train.journal import Journal, Silence
from asr.train.loop import Trainer
from asr.train.remember import Heard, remember
from asr.train.resume_checks import refuse_changes, refuse_other_run, refuse_unlike_processes, settings_id
from asr.train.schedule import make_optimizer
from asr.train.selection import select
from asr.train.stop import stops_told
from asr.wording import how_long

_STATISTICS_UTTERANCES = 1000  # enough for a mean and a variance a band
# In nats. A band that hardly varies holds nothing (recordings of a lower rate than the model's), and must not be blown
# up: of read and of synthetic speech the deviations of all bands were from 2.4 to 4.8.
_LEAST_DEVIATION = 0.5


@dataclass
class Data:
    """A data folder read: its splits, what they are, and the recordings that augmentation mixes in."""

    dataset: Dataset
    train: list[Utterance]
    valid: list[Utterance]
    sounds: Sounds
    cache_mb: int

    @property
    def id(self) -> str:
        """Truncated hash of what is trained and validated on.

        That is ids, texts, durations, and speakers, who decide joins; names, sizes and lengths of noise and rooms; and
        where audio is in shards, which utterances share one, but not its name, and `cache_mb`, which decides whether
        batches are planned by that.
        """
        utterances = [*self.train, *self.valid]
        lines = [f"{item.id}\t{item.text}\t{item.duration:.3f}\t{item.speaker}" for item in utterances]
        numbers: dict[str, int] = {}
        for place, item in enumerate(utterances):
            if member := parse(item.audio):
                lines[place] += f"\t{numbers.setdefault(member.shard, len(numbers))}"
        lines += [f"cache of {self.cache_mb} MB"] if numbers else []
        lines += [line for files in self.sounds.given for line in files.lines]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def read_data(folder: Path, config: Config) -> Data:
    """The splits of a data folder, refused where they overlap, and what the config mixes into them.

    Raises:
        AudioError: A recording of noise or a room cannot be read.
        ManifestError: A manifest is missing or bad, or splits share what they must not.
    """
    if folder.is_file():
        raise ManifestError(f"{folder}: is a file; give the folder of train.jsonl and valid.jsonl")
    splits = {name: read_manifest(folder / f"{name}.jsonl") for name in ("train", "valid")}
    dataset = read_dataset(folder)
    test = folder / "test.jsonl"
    refuse_overlaps(splits | ({"test": read_manifest(test)} if test.exists() else {}), dataset)
    return Data(dataset, splits["train"], splits["valid"], Sounds.of(config), config.batches.cache_mb)


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
        ManifestError, AudioError: See `read_data`.
    """
    group = Group.join(config.train.device)
    try:
        with stops_told():
            return _train(config, data, out, resume, group)
    finally:
        group.leave()


def _train(config: Config, data: Path, out: Path, resume: bool, group: Group) -> Path:
    content = read_data(data, config)
    if config.train.accumulate < group.size:
        raise TrainingError(
            f"train.accumulate: {config.train.accumulate} batches per step leave some of {group.size} processes "
            f"idle; use a multiple of {group.size}, and lower batches.max_frames to keep the effective batch size"
        )
    if config.model.norm == "batch" and group.size > 1:
        raise TrainingError("model.norm: batch works in a single process only; train in one process, or use layer")
    if config.augment.join_seconds and not any(one.speaker for one in content.train) and not (resume and out.exists()):
        raise TrainingError(
            "augment.join_seconds joins utterances of the same speaker, but no speaker is known; add speakers to the "
            "manifest, or set it to 0"
        )
    refuse_unlike_processes(group, config, content.id)
    with ExitStack() as held:
        run = _run_folder(config, data, content.id, out, resume)
        state, damaged = group.led(lambda: held.enter_context(run))
        progress = Progress(**state["progress"]) if state else Progress()
        journal = held.enter_context(Journal(out, progress.step) if group.leads else Silence())
        for line in damaged:
            journal.say(line)
        trainer = _set_up(config, content, out, progress, state, group, journal)
        try:
            trainer.fit(journal)
        except (KeyboardInterrupt, SystemExit):
            where = f"after step {progress.step}" if trainer.kept == progress.step else f"in step {progress.step + 1}"
            journal.say(f"stopped {where}; run the same command with --resume to continue after step {trainer.kept}")
            raise
        if group.leads:
            draw_curves(out)
    return out / MODEL_NAME


@contextmanager
def _run_folder(
    config: Config, data: Path, data_id: str, out: Path, resume: bool
) -> Iterator[tuple[dict[str, Any] | None, list[str]]]:
    """The run folder, with its config in it, and no other process that trains in it.

    Whatever can be refused is refused before anything is written.

    Yields:
        The state to go on from (None: there is none yet), and a line about each checkpoint that is damaged.
    """
    refuse_changes(config, out, resume)
    if config.train.init_from and not checkpoints(out / "checkpoints"):
        model_path(config.train.init_from)
    out.mkdir(parents=True, exist_ok=True)
    with claimed(out):
        refuse_changes(config, out, resume)  # again: another process may have been at work until now
        state, damaged = load_checkpoint(out / "checkpoints") if resume else (None, [])
        if state:
            refuse_other_run(state, config, data, data_id, out)
        for left in leftovers(out):
            left.unlink()
        with replacing(out / "config.yaml") as aside:
            aside.write_text(config_yaml(config), encoding="utf-8")
        yield state, damaged


def text_tools(config: Config, texts: Sequence[str]) -> tuple[Normalizer, Tokenizer]:
    """The normaliser, and the alphabet of the training texts."""
    normalizer = Normalizer.from_config(config.text)
    return normalizer, learn_tokenizer(config.text, [*map(normalizer, texts), *config.augment.join_texts])


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
            f"{len(start.taken)} tensors initialised from {config.train.init_from}; {len(start.left)} new"
            + (f" (of {', '.join(_parts(start.left))}: missing there, or of another size)" if start.left else "")
            + (f"; new tokens: {' '.join(start.new_tokens)}" if start.new_tokens else "")
            + (f"; its features had {', '.join(start.features)}" if start.features else "")
            + (f"; its layers had {', '.join(start.layers)}" if start.layers else "")
        )
    if "mean" not in start.taken:  # else the weights expect the statistics that they came with
        measure_statistics(model, training)
    return model, start


def _parts(names: Sequence[str]) -> list[str]:
    """The parts of a model that some of its tensors are in, as `train.freeze` calls them: `layers.0`, `output`."""
    return list(dict.fromkeys(re.sub(r"^(\w+(?:\.\d+)?).*", r"\1", name) for name in names))


@torch.inference_mode()
def measure_statistics(model: AcousticModel, training: SpeechData) -> None:
    """Set a model's feature mean and standard deviation from a seeded sample of the training set, unaugmented."""
    config = training.config
    rng = generator(config.train.seed, "statistics")
    chosen = set(rng.permutation(len(training.items))[:_STATISTICS_UTTERANCES].tolist())
    plan = [[e for e in examples if e.members[0] in chosen] for examples in plain_plan(training.items, config)]
    count, (total, squares) = 0, torch.zeros(2, config.features.bands, dtype=torch.float64)
    for batch in training.batches([examples for examples in plan if examples], epoch=None):
        if not batch.ids:
            continue
        features, frames = model.raw_features(batch.waveforms, batch.lengths)  # zero beyond each length
        count += int(frames.sum())
        total += features.double().sum((0, 1))
        squares += features.double().square().sum((0, 1))
    mean = total / count
    deviation = (squares / count - mean.square()).clamp(min=_LEAST_DEVIATION**2).sqrt()
    model.set_statistics(mean.float(), deviation.float())


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
    if group.device.type == "cpu":
        keep_freed_memory()
    normalizer, tokenizer = text_tools(config, [utterance.text for utterance in data.train])
    selection = select(data.train, config, normalizer, tokenizer)
    for line in selection.messages():
        journal.say(line)
    if not selection.kept:
        raise TrainingError("no training utterances left")
    for files in data.sounds.given:
        journal.say(str(files))
    if config.augment.tone_db and config.features.normalize == "utterance":
        journal.say("augment.tone_db has no effect: features.normalize=utterance removes the tone colour")
    tolerated = config.batches.unreadable
    training = SpeechData(selection.kept, config, normalizer, tokenizer, data.sounds, tolerated)
    validation = SpeechData(data.valid, config, normalizer, None, data.sounds)

    before: Heard | None = None
    if state:
        model = AcousticModel(config, len(tokenizer), initialise=False)
        model.load_state_dict(state["model"])
    else:
        model, start = new_model(config, tokenizer, training, journal.say)
        progress.started_from, before = start.model_id, start.heard
    model.to(group.device)
    group.broadcast_model(model)  # other processors may draw and measure others, by their last bits
    optimizer = make_optimizer(model, config.train)
    average = MovingAverage(model, config.train.ema) if config.train.ema else None
    if state:
        optimizer.load_state_dict(state["optimizer"])
        if average:
            average.state = state["average"]

    weights = sum(parameter.numel() for parameter in model.parameters())
    facts = {
        "name": config.name,
        "dataset": data.dataset.name,
        "train_utterances": len(selection.kept),
        "train_seconds": round(sum(utterance.duration for utterance in selection.kept), 1),
        "data_id": data.id,
        "started_from": progress.started_from,
        "validation": {"utterances": len(data.valid)},
        "versions": {"asr": asr.__version__, "torch": torch.__version__},
        "parameters": weights,
    }
    heard = {}
    if config.train.remember:
        heard = remember(out, training, validation, data.dataset.name, before, group, journal.say)
    content = ModelFile(model, tokenizer, normalizer, facts, heard=heard)
    audio = how_long(sum(utterance.duration for utterance in selection.kept))
    journal.say(
        f"{len(selection.kept)} utterances, {audio}; {len(tokenizer)} tokens; {weights / 1e6:.2f} M weights; "
        f"{group.size} x {group.device.type}, {torch.get_num_threads()} threads"
        + (f"; from step {progress.step}" if state else "")
    )
    precision = "bfloat16" if uses_bf16(config.train.bf16, group.device) else "float32"
    journal.sitting({"step": progress.step, **surroundings(group.device, group.size), "precision": precision})
    run_id = f"{data.id} {settings_id(config)}"
    return Trainer(content, optimizer, average, training, validation, progress, out, run_id, group)
