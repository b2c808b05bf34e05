"""Validation between epochs: greedy WER and CER, how much of the output is blank, one transcript to look at."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from asr.data.dataset import SpeechData
from asr.data.plan import Plan
from asr.decode.greedy import GreedyDecoder
from asr.device import without_tf32
from asr.model.acoustic import AcousticModel
from asr.model.masking import valid_mask
from asr.score import score
from asr.text import Tokenizer
from asr.train.group import Group


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
def validate(model: AcousticModel, tokenizer: Tokenizer, data: SpeechData, plan: Plan, group: Group) -> Validation:
    """Decode a validation set greedily, in float32 as `asr evaluate` does, and score it; each process a share of it."""
    model.eval()
    decoder = GreedyDecoder(tokenizer.tokens)
    heard: list[tuple[int, str, str]] = []  # number of the batch, reference, hypothesis
    blanks = total = 0
    share = list(enumerate(plan))[group.rank :: group.size]
    batches = data.batches([examples for _, examples in share], None, group.device)
    for (number, examples), batch in zip(share, batches, strict=True):
        batch = batch.to(group.device)
        with without_tf32():
            log_probs, steps = model(batch.waveforms, batch.lengths)
        blank = (log_probs.argmax(-1) == tokenizer.blank) & valid_mask(steps, log_probs.shape[1])
        blanks, total = blanks + int(blank.sum()), total + int(steps.sum())
        nbests = decoder.decode_batch(log_probs, steps)
        heard += [(number, data.text(one), nbest[0].text) for one, nbest in zip(examples, nbests, strict=True)]
    model.train()
    blanks, total = sum(group.gather([blanks])), sum(group.gather([total]))
    heard = sorted(group.gather(heard), key=lambda item: item[0])  # in the plan's order, whoever has heard it
    references, hypotheses = [item[1] for item in heard], [item[2] for item in heard]
    result = score(references, hypotheses)
    sample = len(references) // 2  # of middling length: the plan goes from long to short
    return Validation(
        wer=1.0 if result.wer is None else result.wer,  # None: not a word in the references
        cer=1.0 if result.cer is None else result.cer,
        blank=blanks / total,
        reference=references[sample],
        hypothesis=hypotheses[sample],
    )
