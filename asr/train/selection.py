"""Which utterances of a manifest can be trained on; what is left out is counted and said, never dropped in silence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from asr.config import Config
from asr.data.manifest import Utterance
from asr.text import Normalizer, Tokenizer, steps_needed

TOO_LONG = "longer than batches.max_seconds"
UNKNOWN = "with characters outside the alphabet"
NO_TEXT = "with an empty transcript"
TOO_FAST = "with more tokens than the model has steps at the fastest speed (smaller strides in model.subsample help)"


@dataclass
class Selection:
    """Utterances to train on, and the ids of those left out, by reason."""

    kept: list[Utterance] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)

    def messages(self) -> Iterable[str]:
        """One line for each reason."""
        for reason, ids in self.left_out.items():
            shown = ", ".join(ids[:3]) + (", ..." if len(ids) > 3 else "")
            yield f"left out {len(ids)} of {len(ids) + len(self.kept)} training utterances {reason}: {shown}"


def select(utterances: Sequence[Utterance], config: Config, normalizer: Normalizer, tokenizer: Tokenizer) -> Selection:
    """Sort out the utterances that CTC training would choke on.

    A target needs a step for each token and one for the blank between equal neighbours (Graves et al. 2006, section
    3.1); with fewer its loss is infinite. That is checked at the fastest speed the augmentation may draw.
    """
    selection = Selection()
    for utterance in utterances:
        reason = _obstacle(utterance, config, normalizer, tokenizer)
        if reason:
            selection.left_out.setdefault(reason, []).append(utterance.id)
        else:
            selection.kept.append(utterance)
    return selection


def _obstacle(utterance: Utterance, config: Config, normalizer: Normalizer, tokenizer: Tokenizer) -> str | None:
    if utterance.duration > config.batches.max_seconds:
        return TOO_LONG
    text = normalizer(utterance.text)
    if not text:
        return NO_TEXT
    if tokenizer.unknown(text):
        return UNKNOWN
    if config.steps(utterance.duration / config.augment.speed[1]) < steps_needed(tokenizer.encode(text)):
        return TOO_FAST
    return None
