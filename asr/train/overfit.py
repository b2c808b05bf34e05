"""Can it learn one batch by heart? The first thing to try when a model does not learn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from asr.config import Config
from asr.data.dataset import SpeechData
from asr.data.plan import plain_plan
from asr.data.seeding import generator
from asr.device import choose_device, out_of_memory, uses_bf16
from asr.errors import TrainingError
from asr.model.acoustic import AcousticModel
from asr.text import Tokenizer
from asr.train.group import Group
from asr.train.losses import batch_losses
from asr.train.run import new_model, read_data, text_tools
from asr.train.schedule import make_optimizer
from asr.train.selection import select
from asr.train.validate import validate

_EXAMPLES = 8
_STEPS = 400
_ADVICE = (
    "One batch could not be overfit, so more data will not help. Check, in this order: do the transcripts match the "
    "recordings (listen to the ids above); do they contain speech at all (`asr check --decode`); is train.lr too high "
    "(the loss jumps) or too low (it hardly falls): try a third of it and three times as much; is the model too small "
    "(model.hidden)."
)


def overfit_one_batch(config: Config, data: Path, say: Callable[[str], None]) -> bool:
    """Train on a handful of utterances without augmentation or dropout, and say whether they were learnt.

    Args:
        config: All settings; augmentation, dropout and weight decay are switched off.
        data: A data folder.
        say: Where lines for the reader go.

    Returns:
        Whether every training transcript came out without an error.

    Raises:
        TrainingError: Not one utterance can be trained on, or they do not fit in memory.
    """
    config = config.model_copy(
        update={
            "model": config.model.model_copy(update={"dropout": 0.0}),
            "train": config.train.model_copy(update={"weight_decay": 0.0}),
            "batches": config.batches.model_copy(update={"workers": 0}),
        }
    )
    if config.train.threads:
        torch.set_num_threads(config.train.threads)
    device = choose_device(config.train.device)
    content = read_data(data, config)
    utterances = content.train
    normalizer, tokenizer = text_tools(config, [utterance.text for utterance in utterances])
    selection = select(utterances, config, normalizer, tokenizer)
    for line in selection.messages():
        say(line)
    if not selection.kept:
        raise TrainingError("no training utterances left")
    rng = generator(config.train.seed, "overfit")
    chosen = [selection.kept[position] for position in rng.permutation(len(selection.kept))[:_EXAMPLES]]
    say(f"overfitting {len(chosen)} utterances: {', '.join(utterance.id for utterance in chosen)}")

    training = SpeechData(chosen, config, normalizer, tokenizer, content.sounds)
    try:
        model = new_model(config, tokenizer, training, say)[0].to(device)
        learnt = _learns(model, tokenizer, training, config, device, say)
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        raise TrainingError("out of memory: lower batches.max_frames, or make the model smaller") from None
    say("one batch was overfit: model, targets and loss work together" if learnt else _ADVICE)
    return learnt


def _learns(
    model: AcousticModel,
    tokenizer: Tokenizer,
    training: SpeechData,
    config: Config,
    device: torch.device,
    say: Callable[[str], None],
) -> bool:
    """Whether a model learns some utterances by heart."""
    plan = plain_plan(training.items, config)
    optimizer = make_optimizer(model, config.train)
    bf16 = uses_bf16(config.train.bf16, device)
    batches = list(training.batches(plan, None, device))
    for step in range(1, _STEPS + 1):
        batch = batches[step % len(batches)]
        loss = batch_losses(model, batch, bf16).sum() / batch.target_lengths.sum()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.train.clip)
        optimizer.step()
        if step % 25 == 0:
            result = validate(model, tokenizer, training, plan, Group(device=device))
            say(f"step {step}: loss {float(loss.detach()):.4f}, CER {100 * result.cer:.1f} %")
            if result.cer == 0:
                return True
    return False
