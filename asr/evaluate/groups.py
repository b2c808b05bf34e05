"""Error rates of parts of a split: of each speaker, and of each value of any field that its manifest has."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, TypeVar

from asr.data.manifest import Utterance
from asr.errors import ManifestError
from asr.evaluate.splits import Split
from asr.score import Counts, Score, UtteranceScore, wer_interval
from asr.score.wer import pooled

Item = TypeVar("Item")
Key = TypeVar("Key", bound=Hashable)


def check_fields(fields: Iterable[str], splits: Iterable[Split]) -> None:
    """Refuse what no utterance of a split has.

    Raises:
        ManifestError: The field is named, and which there are.
    """
    for split in splits:
        known = {"speaker", *(name for utterance in split.utterances for name in utterance.extra)}
        if strange := sorted(set(fields) - known):
            raise ManifestError(
                f"{split.manifest}: no utterance has a field {' or '.join(strange)} to group by; "
                f"choose from {', '.join(sorted(known))}"
            )


def value_of(utterance: Utterance, field: str) -> str | None:
    """What a manifest says of an utterance in a field, as text; None where it says nothing."""
    value = utterance.speaker if field == "speaker" else utterance.extra.get(field)
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def groups(split: Split, score: Score, field: str, name: str = "value") -> list[dict[str, Any]]:
    """The groups of a split by a field, highest WER first; `name` is the key that the field's value gets."""
    values = {utterance.id: value_of(utterance, field) for utterance in split.utterances}
    parts = grouped(score.per_utterance, lambda item: values[item.id])
    records = [{name: value, **_rates(items)} for value, items in parts.items()]
    return sorted(records, key=lambda record: (-(record["wer"] or 0.0), record[name] or ""))


def grouped(items: Iterable[Item], key: Callable[[Item], Key]) -> dict[Key, list[Item]]:
    """Items by what `key` says of them, in the order in which the keys come up."""
    parts: dict[Key, list[Item]] = defaultdict(list)
    for item in items:
        parts[key(item)].append(item)
    return parts


def word_fields(counts: Counts) -> dict[str, int]:
    """Word errors as reports and hypotheses.jsonl give them."""
    return {
        "words": counts.length,
        "errors": counts.errors,
        "substitutions": counts.substitutions,
        "insertions": counts.insertions,
        "deletions": counts.deletions,
    }


def _rates(items: Sequence[UtteranceScore]) -> dict[str, Any]:
    counts = pooled(item.words for item in items)
    interval = wer_interval([item.words.errors for item in items], [item.words.length for item in items])
    known = counts.length > 0
    # That a rate is anywhere on half of the scale is hardly information: five wrong words of ten give 24 to 76 %.
    telling = known and interval.high - interval.low < 0.5
    return {
        "utterances": len(items),
        "wer": counts.rate,
        "wer_ci95": [interval.low, interval.high] if telling else None,
        "ci_method": "too few words" if known and not telling else interval.method,
        **word_fields(counts),
    }
