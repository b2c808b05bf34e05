"""Text in, numbers out: word and character error rates, alignments, confidence intervals and comparisons."""

from asr.score.interval import Interval, wer_interval
from asr.score.oracle import oracle_counts
from asr.score.significance import Difference, MatchedPairs, difference, matched_pairs
from asr.score.wer import Counts, Pair, Score, UtteranceScore, score

__all__ = [
    "Counts",
    "Difference",
    "Interval",
    "MatchedPairs",
    "Pair",
    "Score",
    "UtteranceScore",
    "difference",
    "matched_pairs",
    "oracle_counts",
    "score",
    "wer_interval",
]
