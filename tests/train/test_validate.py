"""Validation between epochs."""

import pytest
import torch

from asr.train.loop import Trainer
from asr.train.validate import Validation, validate


def run(trainer: Trainer) -> Validation:
    return validate(trainer.model, trainer.tokenizer, trainer.validation, trainer.validation_plan, trainer.group)


def test_it_leaves_no_trace(make_trainer, settings):
    trainer = make_trainer(settings())
    trainer.model.train()
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    assert run(trainer) == run(trainer)  # no dropout, no augmentation
    assert trainer.model.training
    assert all(torch.equal(before[name], value) for name, value in trainer.model.state_dict().items())


def test_it_counts_characters_outside_the_alphabet(make_trainer, settings):
    """In scoring nothing is skipped."""
    trainer = make_trainer(settings())
    trainer.validation.texts[:] = ["xyz"] * 4
    result = run(trainer)
    assert result.reference == "xyz"
    assert result.wer == 1.0


@pytest.mark.parametrize(("token", "blank", "cer"), [(0, 1.0, 1.0), (1, 0.0, 1.0)])
def test_the_all_blank_plateau_shows(token, blank, cer, make_trainer, settings):
    """A model that says one thing at every step: nothing, or the space."""
    trainer = make_trainer(settings())
    with torch.no_grad():
        trainer.model.output.bias[token] = 1000.0
    result = run(trainer)
    assert result.blank == blank
    assert result.hypothesis == ""
    assert result.cer == pytest.approx(cer)


def test_texts_without_words_are_no_success(make_trainer, settings):
    trainer = make_trainer(settings())
    trainer.validation.texts[:] = [""] * 4
    result = run(trainer)
    assert (result.wer, result.cer) == (1.0, 1.0)
