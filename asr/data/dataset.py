"""From a plan to batches of tensors: read, join, augment, pad."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from asr.archive import parse
from asr.audio import read_audio
from asr.config import Config
from asr.data.augment import Augmenter, Drawn, change_speed
from asr.data.manifest import Utterance
from asr.data.noise import Waveform
from asr.data.plan import Example, Item, Plan, windows
from asr.data.readahead import read_ahead
from asr.data.sounds import Sounds
from asr.data.views import plain_view, stacked
from asr.errors import AsrError, AudioError, TrainingError
from asr.text import Normalizer, Tokenizer, steps_needed

_NAMED = 3  # recordings in one message
_ROUNDING = (0.1, 0.02)  # seconds, and share of the duration, by which manifest and audio may differ


@dataclass
class Batch:
    """One batch, ready for the model.

    Attributes:
        ids: Utterance ids of each example, joined ones with "+".
        waveforms: (batch, samples) float32, zero beyond each length.
        lengths: (batch,) samples.
        targets: (sum of target lengths,) tokens, one example after the other.
        target_lengths: (batch,) tokens.
        tones: (views, batch, mels) to be added to the log-mel features.
        time_masks: (views, batch, masks, 2) frames [start, end) to blank out.
        mel_masks: (views, batch, masks, 2) mel bands [start, end) to blank out.
        lost: What is wrong with recordings that could not be read, by utterance id; the examples that they are a part
            of are not in the batch.
        lost_tokens: Target tokens of those examples.

    Training may ask for two views of each example, alike in sound and different in tone and masks.
    """

    ids: list[str]
    waveforms: Tensor
    lengths: Tensor
    targets: Tensor
    target_lengths: Tensor
    tones: Tensor
    time_masks: Tensor
    mel_masks: Tensor
    lost: dict[str, str] = field(default_factory=dict)
    lost_tokens: int = 0

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device; from pinned memory, this process does not wait for the copy."""
        return self._mapped(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        """The same batch in memory from which a GPU copies by itself; `DataLoader` calls this where it should pin."""
        return self._mapped(Tensor.pin_memory)

    def shared(self) -> Batch:
        """The same batch in memory that other processes can read.

        Raises:
            TrainingError: There is no room for it.
        """
        try:
            return self._mapped(Tensor.share_memory_)
        except RuntimeError:
            raise TrainingError(
                "no shared memory left for the loader workers (check df -h /dev/shm, or docker run --shm-size); "
                "batches.workers=0 needs none"
            ) from None

    def _mapped(self, change: Callable[[Tensor], Tensor]) -> Batch:
        return Batch(
            self.ids,
            change(self.waveforms),
            change(self.lengths),
            change(self.targets),
            change(self.target_lengths),
            change(self.tones),
            change(self.time_masks),
            change(self.mel_masks),
            self.lost,
            self.lost_tokens,
        )


class UnreadableError(AudioError):
    """A recording of a data set that cannot be used; `utterance` is its id."""

    utterance: str


class Waveforms:
    """Waveforms of a list of utterances, by position; from memory as 16-bit samples where they fit, else from disk.

    The cache is filled before training: a file that cannot be read shows up in the first minute, and loader
    processes, forked later, share its memory.
    """

    def __init__(self, utterances: Sequence[Utterance], sample_rate: int, cache_mb: int) -> None:
        self.utterances = utterances
        self.sample_rate = sample_rate
        self.cache: list[NDArray[np.int16] | AudioError] | None = None
        expected = sum(utterance.duration for utterance in utterances) * sample_rate * 2
        if expected <= cache_mb * 1e6:
            with ThreadPoolExecutor(os.cpu_count()) as pool:  # decoders release the interpreter's lock
                self.cache = list(pool.map(self._read, utterances))

    @property
    def unreadable(self) -> list[AudioError]:
        """What is known to be wrong before training."""
        return [samples for samples in self.cache or () if isinstance(samples, AudioError)]

    def __getitem__(self, position: int) -> Waveform:
        """One waveform, float32 (samples,), the same bits with and without the cache.

        Raises:
            UnreadableError: It cannot be read, or is not as long as its manifest says.
        """
        samples = self._read(self.utterances[position]) if self.cache is None else self.cache[position]
        if isinstance(samples, AudioError):
            error = UnreadableError(str(samples))
            error.utterance = self.utterances[position].id
            raise error
        return samples.astype(np.float32) / np.float32(32767)

    def _read(self, utterance: Utterance) -> NDArray[np.int16] | AudioError:
        try:
            waveform = read_audio(utterance.audio, self.sample_rate)
        except AudioError as error:
            return error
        # Batches are planned, and their memory bounded, by what the manifest says.
        seconds = len(waveform) / self.sample_rate
        if abs(seconds - utterance.duration) > _ROUNDING[0] + _ROUNDING[1] * utterance.duration:
            return AudioError(
                f"{utterance.audio}: lasts {seconds:.2f} s, but its manifest says {utterance.duration:.2f} s; "
                "asr check finds all such errors, asr check --fix corrects them"
            )
        return _to_int16(waveform)


def _to_int16(waveform: Waveform) -> NDArray[np.int16]:
    return np.rint(np.clip(waveform, -1, 1) * 32767).astype(np.int16)


class Made(NamedTuple):
    """One example: its waveform (samples,), its target tokens, and what was drawn for it."""

    waveform: Waveform
    target: list[int]
    drawn: Drawn


class SpeechData(Dataset[Batch | AsrError]):
    """Utterances with their normalised texts and targets, from which batches are made by plan.

    Args:
        utterances: What is read.
        config: The run's settings.
        normalizer: Applied to the texts.
        tokenizer: Makes targets of them; None where only the audio is wanted, as in validation, where a text may hold
            characters outside the alphabet.
        sounds: The recordings that augmentation mixes in; None: they are looked up as the config names them.
        tolerated: Up to so many recordings that cannot be read are left out of their batches.

    Raises:
        AudioError: More cannot be read. Where the audio is not kept in memory, that shows only in `batches`.
    """

    def __init__(
        self,
        utterances: Sequence[Utterance],
        config: Config,
        normalizer: Normalizer,
        tokenizer: Tokenizer | None,
        sounds: Sounds | None = None,
        tolerated: int = 0,
    ) -> None:
        self.config = config
        self.texts = [normalizer(utterance.text) for utterance in utterances]
        self.tokenizer = tokenizer
        self._tokens = [len(tokenizer.encode(text)) if tokenizer else 0 for text in self.texts]
        self._join_tokens = 0
        if tokenizer and config.augment.join_seconds:  # else the alphabet may lack what would stand between
            self._join_tokens = len(tokenizer.encode(config.augment.join_text))
        self.waveforms = Waveforms(utterances, config.features.sample_rate, config.batches.cache_mb)
        self.tolerated = tolerated
        if len(self.waveforms.unreadable) > tolerated:
            raise too_many_unreadable(self.waveforms.unreadable, tolerated)
        self.items = [
            Item(
                id=utterance.id,
                seconds=utterance.duration,
                speaker=utterance.speaker if _spare(text, utterance, config) else None,
                shard=_shard(utterance) if self.waveforms.cache is None else None,
            )
            for text, utterance in zip(self.texts, utterances, strict=True)
        ]
        self.augmenter = Augmenter(config, sounds or Sounds.of(config))

    def batches(self, plan: Plan, epoch: int | None, device: torch.device | None = None) -> Iterator[Batch]:
        """Batches in the plan's order, on the host.

        Args:
            plan: The examples of each.
            epoch: They are augmented from (seed, epoch, utterance id); None: not augmented.
            device: Where they will be copied to; for a GPU they are pinned in memory.

        Raises:
            AudioError: A file cannot be read.
            TrainingError: There is no shared memory for the workers.
            RuntimeError: A worker died. torch notices in a signal handler, so this may be raised in any line of the
                process, not only here; see `asr.train.stop`.
        """
        workers = min(self.config.batches.workers, len(plan))
        sampler = ((batch, epoch) for batch in self._in_turn(plan, epoch))
        loader: DataLoader[Batch | AsrError] = DataLoader(
            self,
            sampler=sampler,
            batch_size=None,
            num_workers=workers,
            worker_init_fn=_start_worker,
            pin_memory=device is not None and device.type == "cuda",
        )
        batches = iter(loader)
        try:
            for batch in batches:
                if isinstance(batch, AsrError):
                    raise batch
                yield batch
        finally:
            _end_workers(batches)

    def __getitem__(self, key: tuple[list[Example], int | None]) -> Batch | AsrError:
        """The batch of some examples, for an epoch.

        An error is returned, not raised: torch would wrap the whole traceback of a worker process around its one line.
        A worker shares the batch here, since torch would do so in a thread whose errors leave the run waiting for ever.
        """
        try:
            batch = self._batch(*key)
            return batch.shared() if get_worker_info() else batch
        except AsrError as error:
            return error
        except MemoryError:
            return TrainingError("not enough memory to read a batch; lower batches.workers or batches.cache_mb")

    def _batch(self, examples: list[Example], epoch: int | None) -> Batch:
        made, lost, lost_tokens = [], {}, 0
        for example in examples:
            try:
                made.append((self._id(example), *self.make(example, epoch)))
            except UnreadableError as error:
                if not self.tolerated:
                    raise
                lost[error.utterance] = str(error)
                lost_tokens += self.tokens(example)
        if not made:
            no = torch.empty(0)
            return Batch([], no, no, no, no, no, no, no, lost, lost_tokens)
        ids, waveforms, targets, drawn = zip(*made, strict=True)
        tones, time_masks, mel_masks = (
            torch.from_numpy(stacked(parts)).transpose(0, 1)
            for parts in zip(*(one.views for one in drawn), strict=True)
        )
        lengths = [len(waveform) for waveform in waveforms]
        padded = np.zeros((len(lengths), max(lengths)), np.float32)
        for row, waveform in zip(padded, waveforms, strict=True):
            row[: len(waveform)] = waveform
        return Batch(
            ids=list(ids),
            waveforms=torch.from_numpy(padded),
            lengths=torch.tensor(lengths),
            targets=torch.tensor([token for target in targets for token in target], dtype=torch.long),
            target_lengths=torch.tensor([len(target) for target in targets]),
            tones=tones,
            time_masks=time_masks,
            mel_masks=mel_masks,
            lost=lost,
            lost_tokens=lost_tokens,
        )

    def text(self, example: Example) -> str:
        """The normalised transcript of an example."""
        return self.config.augment.join_text.join(self.texts[position] for position in example.members)

    def tokens(self, example: Example) -> int:
        """Target tokens of an example: those of its texts and of what joins them; with pieces, nearly."""
        return sum(self._tokens[position] for position in example.members) + len(example.gaps) * self._join_tokens

    def _in_turn(self, plan: Plan, epoch: int | None) -> Iterable[list[Example]]:
        """A plan's batches; while those of an epoch are handed out, the shards that come next are read ahead."""
        if epoch is None or len(plan) < 2 or not any(item.shard for item in self.items):
            return plan
        return read_ahead(plan, self.items, windows(self.items, self.config, self.config.train.seed, epoch))

    def _id(self, example: Example) -> str:
        return "+".join(self.items[position].id for position in example.members)

    def make(self, example: Example, epoch: int | None) -> Made:
        """One example for an epoch; None: not augmented.

        Raises:
            AudioError: A file cannot be read, or is too short for its text; training has left out what is so by its
                manifest, from which the audio may differ.
        """
        rate = self.config.features.sample_rate
        parts = [self.waveforms[example.members[0]]]
        for gap, position in zip(example.gaps, example.members[1:], strict=True):
            parts += [np.zeros(round(gap * rate), np.float32), self.waveforms[position]]
        joined = np.concatenate(parts)
        waveform = change_speed(joined, example.speed)
        target = self.tokenizer.encode(self.text(example)) if self.tokenizer else []
        needed = steps_needed(target)
        if self.config.steps(len(waveform) / rate) < needed:  # a manifest may round, and the plan went by it
            waveform = joined
        if self.config.steps(len(waveform) / rate) < needed:  # its loss would be infinite
            error = UnreadableError(
                f"{self.waveforms.utterances[example.members[0]].audio}: too short for its text, and shorter than its "
                "manifest says; asr check --fix corrects durations, batches.unreadable=1 leaves out one such recording"
            )
            error.utterance = self._id(example)
            raise error
        if epoch is None:
            return Made(waveform, target, Drawn(plain_view(self.config.features.bands)))
        drawn = self.augmenter.draw(waveform, self._id(example), epoch)
        return Made(drawn.apply(waveform, rate), target, drawn)


def too_many_unreadable(errors: Sequence[object], tolerated: int) -> AudioError:
    """The error for recordings that cannot be read: the first few of them, and how to go on without them."""
    named = "; ".join(map(str, errors[:_NAMED])) + (f"; and {len(errors) - _NAMED} more" if errors[_NAMED:] else "")
    if tolerated:
        return AudioError(f"{named} (batches.unreadable allows {tolerated})")
    return AudioError(f"{named} (`asr check --decode` finds all of them; batches.unreadable=N trains without up to N)")


def _spare(text: str, utterance: Utterance, config: Config) -> bool:
    """Whether an utterance has steps to spare for being joined: its target must still fit (see `selection`).

    The text between takes some, so may a blank after it, and where two recordings meet one or two are lost.
    """
    joined = list(map(ord, text + config.augment.join_text))
    return config.steps(utterance.duration / config.augment.speed[1]) >= steps_needed(joined) + 3


def _shard(utterance: Utterance) -> str | None:
    """The archive that an utterance lies in, if it does."""
    member = parse(utterance.audio)
    return member.shard if member else None


def _end_workers(batches: object) -> None:
    """End a loader's workers now, and pass over one that has died.

    torch would end them when the iterator is freed. What it noticed there would be printed with its traceback beside
    the one line of the error that frees it; and once batches are no longer wanted, nobody misses a worker.
    """
    if isinstance(batches, _MultiProcessingDataLoaderIter):
        with suppress(RuntimeError):
            batches._shutdown_workers()


def _start_worker(worker: int) -> None:
    """Loader workers do no torch arithmetic: threads of their own would only take the trainer's cores.

    Where the training process ends with an error, the thread in which a worker hands over shared memory may meet a
    connection that is gone, and would print a traceback beside that error's one line.
    """
    torch.set_num_threads(1)
    sys.excepthook = _all_but_lost_connections


def _all_but_lost_connections(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if not issubclass(kind, ConnectionError | EOFError):
        sys.__excepthook__(kind, error, traceback)
