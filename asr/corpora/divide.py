"""Dividing groups of recordings (speakers, or texts) into train, valid and test by their durations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from hashlib import blake2b


def divide(
    seconds: Mapping[str, float], shares: Mapping[str, float], seed: int, kept: Mapping[str, str] | None = None
) -> dict[str, str]:
    """A split for every group: "train", or one of `shares`, close to its share of the time.

    Groups come in an order drawn by hashing (seed, group). The splits are filled one after the other: each takes every
    group that brings it closer to its share. Training gets the rest. A split that is empty in the end gets the smallest
    group of those that have several.

    Args:
        seconds: Duration of each group; at least one group a split.
        shares: Fraction of the whole time for each split but train, in the order of filling.
        seed: Determines the order of the groups.
        kept: The split of each group that has one already and stays in it, such as those a model was trained on; its
            time counts towards the share.
    """
    kept = kept or {}
    total = sum(seconds.values())
    order = sorted(seconds, key=lambda group: blake2b(f"{seed} {group}".encode(), digest_size=8).digest())
    owner = dict.fromkeys(order, "train") | {group: kept[group] for group in order if group in kept}
    for split, share in shares.items():
        lacking = share * total - sum(seconds[group] for group in order if kept.get(group) == split)
        for group in order:
            if group not in kept and owner[group] == "train" and abs(lacking - seconds[group]) < abs(lacking):
                owner[group] = split
                lacking -= seconds[group]
    for split in ("train", *shares):
        sizes = Counter(owner.values())
        free = [group for group in owner if group not in kept and sizes[owner[group]] > 1]
        if free and not sizes[split]:
            owner[min(free, key=lambda group: seconds[group])] = split
    return owner
