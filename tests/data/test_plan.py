"""An epoch's plan: complete, bounded, a pure function of seed and epoch, and with little padding."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.config import Config
from asr.config_file import parse_config
from asr.data.plan import Example, Item, Plan, epoch_plan, frames, padding_share, plain_plan, windows

SECONDS = st.floats(0.05, 20.0, allow_nan=False)
ITEMS = st.lists(st.tuples(SECONDS, st.sampled_from(["ann", "bob", None])), min_size=1, max_size=60).map(
    lambda rows: [Item(f"u{number}", *row) for number, row in enumerate(rows)]
)


@st.composite
def configs(draw: st.DrawFn) -> Config:
    low, high = sorted((draw(st.floats(0.5, 2.0)), draw(st.floats(0.5, 2.0))))
    augment = {
        "speed": [low, high],
        "join_seconds": draw(st.sampled_from([0.0, 3.0, 10.0])),
        "join_count": draw(st.integers(1, 5)),
    }
    batches = {"max_frames": draw(st.integers(100, 5000)), "max_utterances": draw(st.integers(1, 16))}
    return parse_config({"augment": augment, "batches": batches})


def members(plan: Plan) -> list[int]:
    return [position for batch in plan for example in batch for position in example.members]


def assert_bounded(plan: Plan, config: Config) -> None:
    for batch in plan:
        assert 1 <= len(batch) <= config.batches.max_utterances
        padded = len(batch) * max(frames(example.seconds, config) for example in batch)
        assert len(batch) == 1 or padded <= config.batches.max_frames


@given(ITEMS, configs(), st.integers(0, 9), st.integers(0, 9))
@settings(max_examples=100)
def test_every_utterance_once_within_the_bounds(items, config, seed, epoch):
    plan = epoch_plan(items, config, seed, epoch)
    assert sorted(members(plan)) == list(range(len(items)))
    assert_bounded(plan, config)
    lengths = [[example.seconds for example in batch] for batch in plan]
    assert all(batch == sorted(batch, reverse=True) for batch in lengths)


@given(ITEMS, configs())
def test_a_plain_plan_changes_nothing_and_goes_from_long_to_short(items, config):
    plan = plain_plan(items, config)
    assert sorted(members(plan)) == list(range(len(items)))
    assert_bounded(plan, config)
    examples = [example for batch in plan for example in batch]
    assert all(e.speed == 1.0 and e.gaps == () and e.seconds == items[e.members[0]].seconds for e in examples)
    assert [e.seconds for e in examples] == sorted((item.seconds for item in items), reverse=True)


@given(ITEMS, configs(), st.integers(0, 9), st.integers(0, 9))
def test_only_one_speaker_is_joined_and_never_beyond_the_limit(items, config, seed, epoch):
    augment = config.augment
    for batch in epoch_plan(items, config, seed, epoch):
        for example in batch:
            assert_an_example(example, items, config)
            if len(example.members) == 1:
                continue
            speakers = {items[position].speaker for position in example.members}
            assert len(speakers) == 1 and None not in speakers
            assert len(example.members) <= augment.join_count
            assert sum(items[position].seconds for position in example.members) <= augment.join_seconds + 1e-9


def assert_an_example(example: Example, items: list[Item], config: Config) -> None:
    low, high = config.augment.speed
    assert low <= example.speed <= high
    assert len(example.gaps) == len(example.members) - 1
    assert all(0 <= 1000 * gap <= 300 for gap in example.gaps)
    spoken = sum(items[position].seconds for position in example.members) + sum(example.gaps)
    assert example.seconds == pytest.approx(spoken / example.speed)


def some_items(count: int = 300) -> list[Item]:
    rng = np.random.default_rng(0)
    return [Item(f"u{n}", float(s), f"s{n % 7}") for n, s in enumerate(rng.lognormal(1.2, 0.7, count).clip(0.3, 25))]


def test_a_plan_is_a_function_of_seed_and_epoch():
    items, config = some_items(), parse_config({"augment": {"join_seconds": 10}})
    plan = epoch_plan(items, config, seed=3, epoch=5)
    assert epoch_plan(items, config, seed=3, epoch=5) == plan
    for seed, epoch in ((3, 6), (4, 5), (5, 3)):
        other = epoch_plan(items, config, seed, epoch)
        assert other != plan
        assert members(other) != members(plan)


def test_an_utterance_meets_others_in_each_epoch():
    """Even at one speed for all, so that lengths never change."""
    items, config = some_items(), parse_config({"augment": {"speed": [1, 1]}, "batches": {"max_frames": 3000}})

    def company(epoch: int) -> set[int]:
        return next(set(members([batch])) for batch in epoch_plan(items, config, 1, epoch) if 0 in members([batch]))

    meetings = [company(epoch) for epoch in range(5)]
    assert len(set.union(*meetings)) > 2 * max(map(len, meetings)) - 2


def test_joining_happens_and_can_be_switched_off():
    items = some_items()
    joined = epoch_plan(items, parse_config({"augment": {"join_seconds": 20, "join_count": 4}}), 1, 0)
    sizes = [len(example.members) for batch in joined for example in batch]
    assert set(sizes) == {1, 2, 3, 4}
    alone = epoch_plan(items, Config(), 1, 0)
    assert all(len(example.members) == 1 for batch in alone for example in batch)


def test_long_and_short_batches_come_in_random_order():
    plan = epoch_plan(some_items(1000), parse_config({"batches": {"max_frames": 3000}}), 1, 0)
    longest = [max(example.seconds for example in batch) for batch in plan]
    rises = np.mean(np.diff(longest) > 0)
    assert len(plan) > 50
    assert 0.35 < rises < 0.65


def test_little_of_a_batch_is_padding():
    items = some_items(2000)
    config = parse_config({"batches": {"max_frames": 8000}})
    plan = epoch_plan(items, config, 1, 0)
    examples = [example for batch in plan for example in batch]
    order = np.random.default_rng(0).permutation(len(examples))
    size = round(len(examples) / len(plan))
    at_random = [[examples[i] for i in order[start : start + size]] for start in range(0, len(order), size)]
    assert padding_share(plan, config) < 0.12
    assert padding_share(at_random, config) > 0.4  # what it would be without sorting
    assert len(plan) < 1.15 * sum(frames(e.seconds, config) for e in examples) / config.batches.max_frames + 1


def test_one_utterance_longer_than_a_batch_stands_alone():
    items = [Item("long", 100.0, None), Item("short", 1.0, None), Item("other", 1.0, None)]
    plan = plain_plan(items, parse_config({"batches": {"max_frames": 500}}))
    assert [[example.members for example in batch] for batch in plan] == [[(0,)], [(1,), (2,)]]


def test_the_first_epoch_may_go_from_short_to_long():
    config = parse_config({"batches": {"sorted_first": True, "max_utterances": 4}, "augment": {"join_seconds": 0}})
    lengths = np.random.default_rng(1).uniform(1, 9, 50)
    items = [Item(str(number), float(seconds), None) for number, seconds in enumerate(lengths)]

    def rises(epoch: int) -> bool:
        longest = [max(one.seconds for one in batch) for batch in epoch_plan(items, config, 1, epoch)]
        jitter = 1.1 / 0.9  # see _batches
        return all(before <= after * jitter for before, after in pairwise(longest))

    assert [rises(epoch) for epoch in range(4)] == [True, False, False, False]


def sharded(items: list[Item], shards: int) -> list[Item]:
    """The same utterances, read from shards, equally many from each."""
    return [item._replace(shard=f"{n * shards // len(items)}.tar") for n, item in enumerate(items)]


@given(ITEMS, configs(), st.integers(1, 9), st.integers(1, 4), st.integers(0, 9))
@settings(max_examples=100)
def test_an_epoch_goes_through_windows_of_shards(items, config, shards, window, epoch):
    config = config.model_copy(update={"batches": config.batches.model_copy(update={"shard_window": window})})
    items = sharded(items, shards)
    plan = epoch_plan(items, config, 1, epoch)
    assert sorted(members(plan)) == list(range(len(items)))
    assert_bounded(plan, config)
    ours = [{items[position].shard for position in positions} for positions in windows(items, config, 1, epoch)]
    assert max(map(len, ours)) <= window and max(map(len, ours)) - min(map(len, ours)) <= 1
    assert sum(map(len, ours)) == len(set.union(*ours))  # no shard in two windows
    place = 0
    for batch in plan:
        read = {items[position].shard for position in members([batch])}
        while not read <= ours[place]:
            place += 1  # windows come one after the other; an IndexError is a batch across two


def test_windows_are_drawn_anew_each_epoch_and_are_a_function_of_seed_and_epoch():
    items, config = sharded(some_items(), 12), parse_config({"augment": {"join_seconds": 10}})
    assert epoch_plan(items, config, 3, 5) == epoch_plan(items, config, 3, 5)
    drawn = {tuple(map(tuple, windows(items, config, seed, epoch))) for seed in (1, 2) for epoch in range(5)}
    assert len(drawn) == 10
    renamed = [item._replace(shard=f"elsewhere/{item.shard}") for item in items]
    assert epoch_plan(renamed, config, 3, 5) == epoch_plan(items, config, 3, 5)


@pytest.mark.parametrize(("shards", "window"), [(4, 4), (3, 8), (12, 0)])
def test_shards_of_one_window_are_mixed_as_loose_files_are(shards, window):
    items = some_items()
    config = parse_config({"augment": {"join_seconds": 10}, "batches": {"shard_window": window}})
    assert epoch_plan(sharded(items, shards), config, 3, 5) == epoch_plan(items, config, 3, 5)


def test_loose_files_beside_shards_are_all_in_one_window():
    loose, packed = some_items()[:50], sharded(some_items(), 7)[50:]
    config = parse_config({"batches": {"shard_window": 2}})
    assert sorted(members(epoch_plan([*loose, *packed], config, 1, 0))) == list(range(300))
