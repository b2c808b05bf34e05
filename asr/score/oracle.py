"""The best that could have been chosen: the error rate of the n-best lists' best readings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from asr.score.wer import Counts, pooled, score


def oracle_counts(
    references: Mapping[str, str], nbests: Mapping[str, Sequence[str]], normalizer: Callable[[str], str] | None = None
) -> Counts:
    """Word errors if of each list the reading with the fewest errors had been chosen.

    Args:
        references: What was said, by id.
        nbests: Readings by the same ids, best first, at least one each.
        normalizer: Applied to all texts.

    Raises:
        ScoreError: The ids differ, or there are none.
    """
    longest = max((len(texts) for texts in nbests.values()), default=1)
    best: dict[str, Counts] = {}
    for rank in range(longest):  # a shorter list repeats its first, which changes nothing
        texts = {id: texts[rank] if rank < len(texts) else texts[0] for id, texts in nbests.items()}
        for item in score(references, texts, normalizer).per_utterance:
            best[item.id] = min(best.get(item.id, item.words), item.words, key=lambda counts: counts.errors)
    return pooled(best.values())
