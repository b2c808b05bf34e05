"""Text in, numbers out: word and character error rates, alignments and confidence intervals."""

from asr.score.interval import Interval, wer_interval
from asr.score.oracle import oracle_counts
from asr.score.wer import Counts, Pair, Score, UtteranceScore, score

__all__ = ["Counts", "Interval", "Pair", "Score", "UtteranceScore", "oracle_counts", "score", "wer_interval"]
