"""An epoch's plan: which utterances, joined and sped up how, stand together in which batch, in what order.

The plan is a pure function of (training set, settings, seed, epoch). It needs durations only, no audio, so resuming
in the middle of an epoch is cutting off the front of a list, and the number of loader workers cannot matter.

Audio that is read from shards anew each epoch (see `asr.archive`) should not be read from all of them at once: such an
epoch goes through windows of a few shards, drawn anew each time, and mixes only what is in one window.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from asr.config import AugmentConfig, BatchConfig, Config
from asr.data.seeding import generator


class Item(NamedTuple):
    """What the plan must know of a training utterance.

    Attributes:
        id: Unique in the training set.
        seconds: Duration.
        speaker: Utterances of one speaker may be joined; None is joined with none.
        shard: The archive that it is read from in each epoch; None where the order of reading does not matter.
    """

    id: str
    seconds: float
    speaker: str | None
    shard: str | None = None


@dataclass(frozen=True)
class Example:
    """One training example: one utterance, or several of a speaker joined.

    Attributes:
        members: Positions in the training set, in speaking order.
        gaps: Seconds of silence between members; one fewer than members.
        speed: Playing speed; 1.1 is faster and shorter.
        seconds: Length after joining and speeding up.
    """

    members: tuple[int, ...]
    gaps: tuple[float, ...]
    speed: float
    seconds: float


Plan = list[list[Example]]


def epoch_plan(items: Sequence[Item], config: Config, seed: int, epoch: int) -> Plan:
    """Batches of one epoch, in training order.

    Every utterance occurs exactly once. Examples of like length stand together, so that little of a batch is padding;
    the order of the batches, and who meets whom in one, is drawn anew each epoch. With `sorted_first` the first epoch
    goes from short to long (Amodei et al. 2016, "Deep Speech 2", section 3.2). All this holds within each of `windows`,
    which follow each other.
    """
    rng = generator(seed, epoch, "plan")
    plan: Plan = []
    for window in windows(items, config, seed, epoch):
        groups = _joined(items, window, config.augment, rng)
        batches = _batches([_example(items, members, config.augment, rng) for members in groups], config, rng)
        if epoch == 0 and config.batches.sorted_first:
            plan += batches[::-1]
        else:
            plan += [batches[position] for position in rng.permutation(len(batches))]
    return plan


def windows(items: Sequence[Item], config: Config, seed: int, epoch: int) -> list[list[int]]:
    """Positions of the utterances that an epoch mixes with each other, window by window, in training order.

    Each window holds all utterances of at most `shard_window` shards, all windows about as many shards. There is one
    window, of everything, where that suffices and where nothing is read from shards.
    """
    shards: dict[str | None, list[int]] = {}
    for position, item in enumerate(items):
        shards.setdefault(item.shard, []).append(position)
    count = math.ceil(len(shards) / (config.batches.shard_window or len(shards) or 1))
    if count < 2:
        return [list(range(len(items)))]
    members = list(shards.values())
    order = generator(seed, epoch, "shards").permutation(len(members))
    return [sorted(position for shard in part for position in members[shard]) for part in np.array_split(order, count)]


def plain_plan(items: Sequence[Item], config: Config) -> Plan:
    """Batches of unchanged utterances from long to short: for validation and for statistics."""
    examples = [Example((position,), (), 1.0, item.seconds) for position, item in enumerate(items)]
    return _cut(sorted(examples, key=lambda example: -example.seconds), config)


def frames(seconds: float, config: Config) -> int:
    """Feature frames of an example of so many seconds."""
    return int(seconds * 1000 / config.features.hop_ms) + 1


def padding_share(plan: Plan, config: Config) -> float:
    """Share of the plan's frames that are padding, 0 to 1."""
    real = sum(frames(example.seconds, config) for batch in plan for example in batch)
    padded = sum(len(batch) * max(frames(example.seconds, config) for example in batch) for batch in plan)
    return 1 - real / padded


def largest_batch(plan: Plan, config: Config) -> list[Example]:
    """The batch with most frames, padding included."""
    return max(plan, key=lambda batch: len(batch) * max(frames(example.seconds, config) for example in batch))


def _joined(
    items: Sequence[Item], window: Sequence[int], config: AugmentConfig, rng: np.random.Generator
) -> list[list[int]]:
    """Groups of a window's utterances that become one example each: alone, or up to `join_count` of one speaker."""
    order = [window[place] for place in rng.permutation(len(window))]
    if config.join_seconds == 0:
        return [[position] for position in order]
    order.sort(key=lambda position: items[position].speaker or "")  # stable: random within a speaker
    groups: list[list[int]] = []
    room, places = 0.0, 0
    previous: str | None = None
    for position in order:
        item = items[position]
        # Where the speaker is unknown, two voices could meet in one utterance: those stay alone.
        if not groups or item.speaker != previous or item.speaker is None or places == 0 or item.seconds > room:
            groups.append([])
            room, places = config.join_seconds, int(rng.integers(1, config.join_count + 1))
        groups[-1].append(position)
        room, places, previous = room - item.seconds, places - 1, item.speaker
    return groups


def _example(items: Sequence[Item], members: Sequence[int], config: AugmentConfig, rng: np.random.Generator) -> Example:
    low, high = config.join_gap_ms
    gaps = tuple(float(gap) / 1000 for gap in rng.uniform(low, high, len(members) - 1))
    speed = float(rng.uniform(*config.speed))
    seconds = (sum(items[position].seconds for position in members) + sum(gaps)) / speed
    return Example(tuple(members), gaps, speed, seconds)


def _batches(examples: Sequence[Example], config: Config, rng: np.random.Generator) -> Plan:
    # Lengths jittered by 10 %: an example meets others than last epoch's, at little cost in padding.
    lengths = np.array([example.seconds for example in examples])
    order = np.argsort(lengths * rng.uniform(0.9, 1.1, len(examples)), kind="stable")[::-1]
    batches = _cut([examples[position] for position in order], config)
    # From long to short: the LSTM leaves out what has ended from the last on (see `asr.model.lstm.cut`).
    return [sorted(batch, key=lambda example: -example.seconds) for batch in batches]


def _cut(examples: Sequence[Example], config: Config) -> Plan:
    """Cut a list into runs, each within `max_frames` (padding included) and `max_utterances`."""
    limits: BatchConfig = config.batches
    plan: Plan = []
    longest = 0
    for example in examples:
        size = frames(example.seconds, config)
        longest = max(longest, size)
        if not plan or len(plan[-1]) == limits.max_utterances or longest * (len(plan[-1]) + 1) > limits.max_frames:
            plan.append([])
            longest = size
        plan[-1].append(example)
    return plan
