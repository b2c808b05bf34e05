"""Reading shards ahead: the plan's batches untouched, and every byte asked for once, before its window begins."""

from collections import Counter
from pathlib import Path

import pytest

from asr.config_file import parse_config
from asr.data import readahead
from asr.data.plan import Item, epoch_plan, windows
from asr.data.readahead import read_ahead

CONFIG = parse_config({"batches": {"shard_window": 2, "max_utterances": 3}})


@pytest.fixture
def items(tmp_path: Path) -> list[Item]:
    """Sixty utterances in six shards of different sizes."""
    for number in range(6):
        (tmp_path / f"{number}.tar").write_bytes(bytes(1000 + 337 * number))
    return [Item(str(n), 1.0 + n % 7, None, str(tmp_path / f"{n // 10}.tar")) for n in range(60)]


@pytest.fixture
def asked(monkeypatch) -> Counter[tuple[str, int]]:
    """How often each byte of each shard was asked for so far."""
    bytes_asked: Counter[tuple[str, int]] = Counter()

    def note(path: str, start: int, end: int) -> None:
        bytes_asked.update((path, place) for place in range(start, end))

    monkeypatch.setattr(readahead, "will_need", note)
    return bytes_asked


def size(shards: set[str]) -> int:
    return sum(Path(shard).stat().st_size for shard in shards)


def test_a_window_is_asked_for_while_the_one_before_is_handed_out(items, asked):
    plan = epoch_plan(items, CONFIG, 1, 0)
    parts = windows(items, CONFIG, 1, 0)
    shards = [{items[position].shard for position in part} for part in parts]
    assert len(parts) == 3
    handed_out = []
    for batch in read_ahead(plan, items, parts):
        handed_out.append(batch)
        now = next(n for n, window in enumerate(shards) if items[batch[0].members[0]].shard in window)
        whole = size(set.union(*shards[: now + 1]))
        later = size(shards[now + 1]) if now + 1 < len(shards) else 0
        assert whole < sum(asked.values()) <= whole + later or not later
    assert handed_out == plan
    assert set(asked.values()) == {1} and sum(asked.values()) == size(set.union(*shards))


def test_the_end_of_an_epoch_asks_for_no_more_than_it_needs(items, asked):
    plan = epoch_plan(items, CONFIG, 1, 0)
    parts = windows(items, CONFIG, 1, 0)
    assert list(read_ahead(plan[-2:], items, parts)) == plan[-2:]
    assert {path for path, _ in asked} == {items[position].shard for position in parts[-1]}


def test_a_missing_shard_is_left_to_who_reads_it(items, asked):
    Path(items[0].shard).unlink()
    plan = epoch_plan(items, CONFIG, 1, 0)
    assert list(read_ahead(plan, items, windows(items, CONFIG, 1, 0))) == plan


def test_files_among_shards_are_no_obstacle(items, asked):
    mixed = [item._replace(shard=None) if n % 3 else item for n, item in enumerate(items)]
    plan = epoch_plan(mixed, CONFIG, 1, 0)
    assert list(read_ahead(plan, mixed, windows(mixed, CONFIG, 1, 0))) == plan
