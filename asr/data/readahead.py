"""Reading shards before they are needed, from end to end, by asking the kernel to keep them in its cache.

Within a window of shards (see `asr.data.plan`) recordings are read in random order. That is quick where the bytes are
in memory already, and slow on a disk or over a network. So while the batches of one window are handed out, the shards
of the next are asked for little by little: reads go on all the time, in order, and nobody waits for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from asr.archive import will_need
from asr.data.plan import Example, Item, Plan


def read_ahead(plan: Plan, items: Sequence[Item], windows: Sequence[Sequence[int]]) -> Iterator[list[Example]]:
    """Hand out a plan's batches in their order, and ask for the bytes that they and those after them will need.

    Args:
        plan: Some batches of an epoch's plan, in its order; windows with none are not read.
        items: The training set.
        windows: Positions in the training set by window.
    """
    # A shard stands in one window only, so the first member of a batch tells which window that is.
    shards = [list(dict.fromkeys(items[position].shard for position in window)) for window in windows]
    window_of = {shard: number for number, window in enumerate(shards) for shard in window}
    by_window = groupby(plan, key=lambda batch: window_of[items[batch[0].members[0]].shard])
    runs = [(_Stretch(shards[number]), list(batches)) for number, batches in by_window]
    for (stretch, batches), (upcoming, _) in zip(runs, [*runs[1:], (_Stretch([]), [])], strict=True):
        stretch.ask(1.0)  # at the start all of it; later nothing, for all has been asked for
        for done, batch in enumerate(batches, start=1):
            upcoming.ask(done / len(batches))
            yield batch


class _Stretch:
    """The shards of a window one after the other, and how far they have been asked for."""

    def __init__(self, shards: Sequence[str | None]) -> None:
        self.sizes = {shard: Path(shard).stat().st_size for shard in shards if shard and Path(shard).is_file()}
        self.asked = 0

    def ask(self, share: float) -> None:
        """Have the kernel read what is missing up to a share of all bytes, 0 to 1."""
        upto = int(share * sum(self.sizes.values()))
        start = 0  # of a shard in the stretch
        for shard, size in self.sizes.items():
            will_need(shard, max(self.asked - start, 0), min(upto - start, size))
            start += size
        self.asked = max(self.asked, upto)
