"""Greedy decoding: the best token at every step, repeats merged, blanks dropped (Graves et al. 2006, section 3.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from asr.decode.hypothesis import DecodeError, Hypothesis, TokenSpan, check_log_probs

LogProbs = Tensor | npt.NDArray[Any]


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
        self, log_probs: Sequence[LogProbs] | Tensor, lengths: Tensor | Sequence[int] | None = None
    ) -> list[list[Hypothesis]]:
        """The hypotheses of several utterances, one list of one each.

        A hypothesis' score is the log-probability of its best path: no more than that of its text, which sums all.

        Args:
            log_probs: (batch, steps, tokens), searched on the device it is on; or a list of (steps, tokens).
            lengths: (batch,) steps of each row; None: all of them. With a list there is nothing to say.

        Raises:
            DecodeError: Not normalised log-probabilities over these tokens.
        """
        packed, sizes = _packed(log_probs, lengths)
        if packed is None:
            return []
        check_log_probs(packed, len(self.tokens))
        best, numbers = packed.max(dim=1)
        return [[hypothesis] for hypothesis in self._collapse(numbers.cpu().numpy(), best.float().cpu().numpy(), sizes)]

    def _collapse(
        self, numbers: npt.NDArray[np.int64], scores: npt.NDArray[np.float32], sizes: list[int]
    ) -> Iterator[Hypothesis]:
        """Hypotheses from the best token and its log-probability at every step, (steps of all utterances,) each."""
        borders = np.cumsum([0, *sizes])
        new_run = np.ones(len(numbers), dtype=bool)
        new_run[1:] = numbers[1:] != numbers[:-1]
        new_run[borders[:-1][borders[:-1] < len(numbers)]] = True
        starts = np.flatnonzero(new_run)
        ends = np.append(starts[1:], len(numbers))
        sums = np.add.reduceat(scores.astype(np.float64), starts) if len(starts) else np.zeros(0)
        first_runs = np.searchsorted(starts, borders)
        for i, (low, high) in enumerate(zip(first_runs[:-1], first_runs[1:], strict=True)):
            runs = np.arange(low, high)
            spoken = runs[numbers[starts[runs]] != self.blank]
            spans = tuple(
                TokenSpan(
                    token=int(numbers[starts[run]]),
                    start=int(starts[run] - borders[i]),
                    end=int(ends[run] - borders[i]),
                    score=float(sums[run] / (ends[run] - starts[run])),
                )
                for run in spoken
            )
            path = float(sums[low:high].sum())
            text = "".join(self.tokens[span.token] for span in spans)
            yield Hypothesis(
                text=" ".join(text.split()),
                tokens=tuple(span.token for span in spans),
                score=path,
                acoustic=path,
                spans=spans,
            )


def _packed(
    log_probs: Sequence[LogProbs] | Tensor, lengths: Tensor | Sequence[int] | None
) -> tuple[Tensor | None, list[int]]:
    """The valid steps of all utterances one after the other, (all steps, tokens), and the steps of each."""
    if isinstance(log_probs, Tensor):
        if log_probs.dim() != 3:
            raise DecodeError(f"a batch must be (batch, steps, tokens), not {tuple(log_probs.shape)}")
        batch, steps, _ = log_probs.shape
        sizes = torch.full((batch,), steps) if lengths is None else torch.as_tensor(lengths).cpu()
        if len(sizes) != batch or bool(((sizes < 0) | (sizes > steps)).any()):
            raise DecodeError(f"lengths must be {batch} numbers of steps, 0 to {steps}, not {sizes.tolist()}")
        log_probs = [row[:size] for row, size in zip(log_probs, sizes.tolist(), strict=True)]
    elif lengths is not None:
        raise DecodeError("lengths belong to a padded batch; a list of utterances has its own")
    rows = [torch.as_tensor(row) for row in log_probs]
    if len({tuple(row.shape[1:]) for row in rows}) > 1:
        raise DecodeError("utterances of one batch must have the same tokens")
    return (torch.cat(rows) if rows else None), [len(row) for row in rows]
