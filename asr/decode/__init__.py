"""From log-probabilities to text: decoders take (steps, tokens) natural logarithms and give n-best hypotheses."""

from typing import TYPE_CHECKING, Any

from asr.decode.greedy import GreedyDecoder
from asr.decode.hypothesis import DecodeError, Hypothesis, TokenSpan

if TYPE_CHECKING:
    from asr.decode.ngram import NgramModel

DECODERS = {"greedy": GreedyDecoder}  # by the name that `--decoder` takes

__all__ = ["DECODERS", "DecodeError", "GreedyDecoder", "Hypothesis", "NgramModel", "TokenSpan"]


def __getattr__(name: str) -> Any:
    if name == "NgramModel":  # numba costs half a second, which greedy decoding need not pay
        from asr.decode.ngram import NgramModel

        return NgramModel
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
