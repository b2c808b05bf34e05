"""From log-probabilities to text: decoders take (steps, tokens) natural logarithms and give n-best hypotheses."""

from asr.decode.greedy import GreedyDecoder
from asr.decode.hypothesis import DecodeError, Hypothesis, TokenSpan

__all__ = ["DecodeError", "GreedyDecoder", "Hypothesis", "TokenSpan"]
