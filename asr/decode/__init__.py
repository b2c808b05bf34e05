"""From log-probabilities to text: decoders take (steps, tokens) natural logarithms and give n-best hypotheses."""

from asr.decode.greedy import GreedyDecoder
from asr.decode.hypothesis import DecodeError, Hypothesis, TokenSpan

DECODERS = {"greedy": GreedyDecoder}  # by the name that `--decoder` takes

__all__ = ["DECODERS", "DecodeError", "GreedyDecoder", "Hypothesis", "TokenSpan"]
