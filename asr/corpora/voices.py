"""Who speaks in a synthesised corpus: variants of the synthesiser with accents, no voice in two splits."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asr.corpora.common import SPLITS
from asr.corpora.espeak import espeak_variants
from asr.errors import CorpusError

NOT_A_VOICE = ("fast", "whisper", "whisperf", "caleb")  # a speaking rate; three that whisper, so that nothing is voiced


@dataclass(frozen=True)
class Voice:
    """One speaker: a variant of the synthesiser with an accent, in one split."""

    variant: str
    accent: str
    split: str

    @property
    def speaker(self) -> str:
        """The speaker's id, fit for a file name."""
        return f"{self.variant.replace(' ', '-')}_{self.accent}"


def families(variants: Mapping[str, tuple[str, ...]]) -> list[list[str]]:
    """Groups of variants that sound alike: half of all their settings or more are the same, for one pair at least.

    "robosoft3" and "robosoft4" differ in one setting, "Hugo" and "Henrique" too: near-copies that must not meet across
    splits.
    """

    def alike(one: str, other: str) -> bool:
        ours, theirs = set(variants[one]), set(variants[other])
        return 2 * len(ours & theirs) >= len(ours | theirs)

    groups: list[list[str]] = []
    for name in variants:
        related = [group for group in groups if any(alike(name, other) for other in group)]
        groups = [group for group in groups if group not in related]
        groups.append([*(member for group in related for member in group), name])
    return groups


def cast(voices: Mapping[str, int], accents: Sequence[str], seed: int) -> list[Voice]:
    """Who speaks in which split: chance decides, by whole families (see `families`).

    The families are shuffled, and each goes to test if it still has room, else to valid, else to train. Families of
    more than two would make a monotonous test set: they go to train. Accents are dealt in turn; a split with more
    voices than variants starts over, each with its next accent.

    Args:
        voices: How many voices each split gets.
        accents: The languages, or accents of one, that they speak with, by espeak-ng's codes.
        seed: Of the shuffle.

    Raises:
        CorpusError: The synthesiser has too few variants, or a language stands there twice.
    """
    if twice := [accent for place, accent in enumerate(accents) if accent in accents[:place]]:
        raise CorpusError(f"language {twice[0]} is given twice")
    variants = {name: settings for name, settings in espeak_variants().items() if name not in NOT_A_VOICE}
    generator = random.Random(seed)
    shuffled = families(variants)
    generator.shuffle(shuffled)
    names: dict[str, list[str]] = {split: [] for split in SPLITS}
    for family in shuffled:
        fits = [split for split in ("test", "valid") if len(names[split]) + len(family) <= voices[split]]
        names[fits[0] if fits and len(family) <= 2 else "train"] += family
    generator.shuffle(names["train"])
    for split in SPLITS:
        most = len(names[split]) * len(accents)
        if not 1 <= voices[split] <= most:
            raise CorpusError(f"{split} takes 1 to {most} voices, not {voices[split]}")
    return [
        Voice(names[split][i % len(names[split])], accents[sum(divmod(i, len(names[split]))) % len(accents)], split)
        for split in SPLITS
        for i in range(voices[split])
    ]
