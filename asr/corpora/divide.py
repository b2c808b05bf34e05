"""Dividing groups of recordings (speakers, or texts) into train, valid and test by their durations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from hashlib import blake2b


def divide(seconds: Mapping[str, float], shares: Mapping[str, float], seed: int) -> dict[str, str]:
    """A split for every group: "train", or one of `shares`, close to its share of the time.

    Groups come in an order drawn by hashing (seed, group), so that new recordings leave most of the others where
    they were. Each goes to the split that lacks most of its share, if that brings the split closer to it, else to
    training. A split that is empty in the end gets the smallest group of those that have several.

    Args:
        seconds: Duration of each group; at least one group a split.
        shares: Fraction of the whole time for each split but train.
        seed: Another seed is another division.
    """
    total = sum(seconds.values())
    lacking = {split: share * total for split, share in shares.items()}
    owner = {}
    for group in sorted(seconds, key=lambda group: blake2b(f"{seed} {group}".encode(), digest_size=8).digest()):
        split = max(lacking, key=lambda split: lacking[split])
        closer = abs(lacking[split] - seconds[group]) < abs(lacking[split])
        owner[group] = split if closer else "train"
        lacking[split] -= seconds[group] if closer else 0.0
    for split in ("train", *shares):
        sizes = Counter(owner.values())
        if not sizes[split]:
            owner[min((group for group in owner if sizes[owner[group]] > 1), key=lambda group: seconds[group])] = split
    return owner
