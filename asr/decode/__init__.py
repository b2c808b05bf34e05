"""From log-probabilities to text: decoders take (steps, tokens) natural logarithms and give n-best hypotheses.

Names are imported when they are first used: who decodes greedily does not wait for the compiler of the beam search.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asr.decode.alignment import align
    from asr.decode.beam import BeamDecoder
    from asr.decode.ctc import forward_score
    from asr.decode.greedy import DECODERS, GreedyDecoder
    from asr.decode.hypothesis import DecodeError, Hypothesis, TokenSpan
    from asr.decode.ngram import NgramModel

_HOMES = {
    "DECODERS": "greedy",
    "BeamDecoder": "beam",
    "DecodeError": "hypothesis",
    "GreedyDecoder": "greedy",
    "Hypothesis": "hypothesis",
    "NgramModel": "ngram",
    "TokenSpan": "hypothesis",
    "align": "alignment",
    "forward_score": "ctc",
}

__all__ = [
    "DECODERS",
    "BeamDecoder",
    "DecodeError",
    "GreedyDecoder",
    "Hypothesis",
    "NgramModel",
    "TokenSpan",
    "align",
    "forward_score",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
