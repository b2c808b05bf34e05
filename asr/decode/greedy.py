"""Greedy decoding: the best token at every step, repeats merged, blanks dropped (Graves et al. 2006, section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from asr.decode.batch import LogProbs, utterances_of
from asr.decode.hypothesis import DecodeError, Hypothesis, TokenSpan, check_log_probs


class GreedyDecoder:
    """The text of the single best path.

    Args:
        tokens: Token strings by number.
        blank: Number of the blank.
    """

    def __init__(self, tokens: Sequence[str], blank: int = 0) -> None:
        if not 0 <= blank < len(tokens):
            raise DecodeError(f"the blank must be one of the {len(tokens)} tokens, not number {blank}")
        self.tokens = tuple(tokens)
        self.blank = blank

    @property
    def settings(self) -> dict[str, Any]:
        """What a report says about how its text was decoded."""
        return {"decoder": "greedy"}

    def decode(self, log_probs: LogProbs) -> list[Hypothesis]:
        """The hypotheses of one utterance: exactly one.

        Args:
            log_probs: (steps, tokens) normalised natural logarithms.

        Raises:
            DecodeError: See `decode_batch`.
        """
        return self.decode_batch([log_probs])[0]

    def decode_batch(
        self, log_probs: Sequence[LogProbs] | LogProbs, lengths: Tensor | Sequence[int] | None = None
    ) -> list[list[Hypothesis]]:
        """The hypotheses of several utterances, one list of one each.

        A hypothesis' score is the log-probability of its best path: no more than that of its text, which sums all.

        Args:
            log_probs: (batch, steps, tokens), searched on the device it is on; or a list of (steps, tokens).
            lengths: (batch,) steps of each row; None: all of them. With a list there is nothing to say.

        Raises:
            DecodeError: Not normalised log-probabilities over these tokens.
        """
        rows = utterances_of(log_probs, lengths)
        if not rows:
            return []
        packed = torch.cat(rows)
        check_log_probs(packed, len(self.tokens))
        best, numbers = packed.max(dim=1)
        borders = np.cumsum([len(row) for row in rows])[:-1]
        paths = np.split(numbers.cpu().numpy(), borders)
        scores = np.split(best.double().cpu().numpy(), borders)
        return [[self._hypothesis(*row)] for row in zip(paths, scores, strict=True)]

    def _hypothesis(self, path: npt.NDArray[np.int64], scores: npt.NDArray[np.float64]) -> Hypothesis:
        """The hypothesis of one utterance's path: (steps,) best tokens and their log-probabilities."""
        borders = np.append(np.flatnonzero(np.diff(path, prepend=-1)), len(path))
        starts, ends = borders[:-1], borders[1:]
        means = np.add.reduceat(scores, starts) / (ends - starts)
        spans = tuple(
            TokenSpan(token, start, end, score)
            for token, start, end, score in zip(
                path[starts].tolist(), starts.tolist(), ends.tolist(), means.tolist(), strict=True
            )
            if token != self.blank
        )
        total = float(scores.sum())
        text = "".join(self.tokens[span.token] for span in spans)
        return Hypothesis(
            text=" ".join(text.split()),
            tokens=tuple(span.token for span in spans),
            score=total,
            acoustic=total,
            spans=spans,
        )
