"""Validation between epochs: greedy WER and CER, how much of the output is blank, one transcript to look at."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from asr.data.dataset import SpeechData
from asr.data.plan import Plan
from asr.decode.greedy import GreedyDecoder
from asr.model.acoustic import AcousticModel
from asr.score import score
from asr.text import Tokenizer


@dataclass(frozen=True)
class Validation:
    """What one validation found; rates are fractions.

    Attributes:
        wer: Word error rate, counts pooled.
        cer: Character error rate, spaces included.
        blank: Share of steps whose likeliest token is the blank. Near 1 with nothing else decoded is CTC's early
            plateau; it ends when the model starts to learn.
        reference: A sample transcript.
        hypothesis: What was decoded for it.
    """

    wer: float
    cer: float
    blank: float
    reference: str
    hypothesis: str


@torch.inference_mode()
def validate(
    model: AcousticModel, tokenizer: Tokenizer, data: SpeechData, plan: Plan, device: torch.device
) -> Validation:
    """Decode a validation set greedily, in float32 as `asr evaluate` does, and score it."""
    model.eval()
    decoder = GreedyDecoder(tokenizer.tokens)
    references, hypotheses = [], []
    blanks = total = 0
    for examples, batch in zip(plan, data.batches(plan, epoch=None), strict=True):
        log_probs, steps = model(batch.waveforms.to(device), batch.lengths.to(device))
        for example, length, row in zip(examples, steps.tolist(), log_probs, strict=True):
            best = row[:length].argmax(-1)
            blanks += int((best == tokenizer.blank).sum())
            total += length
            references.append(data.text(example))
        hypotheses += [nbest[0].text for nbest in decoder.decode_batch(log_probs, steps)]
    model.train()
    result = score(references, hypotheses)
    sample = len(references) // 2  # of middling length: the plan goes from long to short
    return Validation(
        wer=1.0 if result.wer is None else result.wer,  # None: not a word in the references
        cer=1.0 if result.cer is None else result.cer,
        blank=blanks / total,
        reference=references[sample],
        hypothesis=hypotheses[sample],
    )
