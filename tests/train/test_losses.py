"""What is minimised: CTC by its definition, SpecAugment's masks, and the agreement of two views."""

from dataclasses import replace

import pytest
import torch

from asr.data.plan import plain_plan
from asr.train.loop import Trainer
from asr.train.losses import batch_losses, consistency_loss, spec_augment


def one_batch(trainer: Trainer):
    """A batch of whole, unchanged examples."""
    (batch, *_) = trainer.training.batches(plain_plan(trainer.training.items, trainer.config), epoch=None)
    return batch


def test_the_loss_is_ctc_by_definition(make_trainer, plain):
    """Against the sum over all alignments of one short example, counted out."""
    trainer = make_trainer(plain())
    batch = one_batch(trainer)
    model = trainer.model.double().eval()
    batch.waveforms, batch.tones = batch.waveforms.double(), batch.tones.double()
    losses = batch_losses(model, batch, bf16=False)
    log_probs, steps = model(batch.waveforms, batch.lengths)
    targets = torch.split(batch.targets, batch.target_lengths.tolist())
    for loss, row, size, target in zip(losses, log_probs.detach(), steps.tolist(), targets, strict=True):
        assert float(loss.detach()) == pytest.approx(-float(all_alignments(row[:size], target.tolist())), rel=1e-9)


def all_alignments(log_probs: torch.Tensor, target: list[int]) -> torch.Tensor:
    """Logarithm of the probability that the steps (steps, tokens) spell the target, by the forward recursion."""
    states = [0]
    for token in target:
        states += [token, 0]
    never = torch.tensor(-torch.inf, dtype=log_probs.dtype)
    row = [log_probs[0, 0], log_probs[0, states[1]]] + [never] * (len(states) - 2)
    for step in log_probs[1:]:
        new = []
        for place, state in enumerate(states):
            reach = row[max(0, place - 1) : place + 1]
            if place >= 2 and state != 0 and state != states[place - 2]:
                reach = [row[place - 2], *reach]
            new.append(torch.logsumexp(torch.stack(reach), 0) + step[state])
        row = new
    return torch.logsumexp(torch.stack(row[-2:]), 0)


def test_disagreement_is_the_symmetric_divergence():
    """Against torch.distributions, step by step; padding, where the views differ too, has no say."""
    one, other = torch.randn(2, 3, 7, 5, dtype=torch.float64).log_softmax(-1)
    steps = torch.tensor([7, 4, 1])
    found = consistency_loss(one, other, steps)
    for row, size in enumerate(steps.tolist()):
        p, q = (torch.distributions.Categorical(logits=view[row, :size]) for view in (one, other))
        there, back = torch.distributions.kl_divergence(p, q), torch.distributions.kl_divergence(q, p)
        assert float(found[row]) == pytest.approx(float((there + back).sum()) / 2, rel=1e-9)
    assert not consistency_loss(one, one, steps).any()


def test_disagreement_draws_each_view_to_the_other_held_still():
    """Its gradient by the logits of one view is half of what is too likely in it (CR-CTC, equation 4)."""
    logits = torch.randn(2, 1, 6, 5, dtype=torch.float64, requires_grad=True)
    one, other = logits.log_softmax(-1)
    consistency_loss(one, other, torch.tensor([6])).sum().backward()
    excess = (one.exp() - other.exp()).detach() / 2
    torch.testing.assert_close(logits.grad, torch.stack([excess, -excess]))


def test_two_views_are_two_losses_averaged_and_what_they_disagree_by(make_trainer, plain):
    trainer = make_trainer(plain(train={"consistency": 0.3}, augment={"time_masks": 2, "time_mask_ms": 200}))
    trainer.model.eval()
    (examples, *_) = plain_plan(trainer.training.items, trainer.config)
    batch = trainer.training[examples, 0]
    assert len(batch.tones) == len(batch.time_masks) == len(batch.mel_masks) == 2
    assert not torch.equal(*batch.time_masks)
    losses = batch_losses(trainer.model, batch, False, 0.3)

    singly, heard = [], []
    for view in range(2):
        part = {name: getattr(batch, name)[view : view + 1] for name in ("tones", "time_masks", "mel_masks")}
        singly.append(batch_losses(trainer.model, replace(batch, **part), False, 0.3))
        features, frames = trainer.model.features(batch.waveforms, batch.lengths, batch.tones[view])
        features = spec_augment(features, batch.time_masks[view], batch.mel_masks[view])
        log_probs, steps = trainer.model.encode(features, frames)
        heard.append(log_probs)
    expected = sum(singly) / 2 + 0.3 * consistency_loss(*heard, steps)
    torch.testing.assert_close(losses, expected, rtol=1e-4, atol=1e-4)
    assert (losses > sum(singly) / 2).all()


def test_masked_frames_and_bands_have_no_say(make_trainer, plain):
    features = torch.randn(2, 10, 6)
    time = torch.tensor([[[2, 4], [3, 7]], [[0, 0], [9, 10]]])
    mels = torch.tensor([[[0, 1]], [[5, 6]]])
    masked = spec_augment(features, time, mels)
    expected = features.clone()
    expected[0, 2:7] = 0
    expected[1, 9] = 0
    expected[0, :, 0] = 0
    expected[1, :, 5] = 0
    assert torch.equal(masked, expected)


LAYERS = {"layers": 3, "dense_top": 7}


def test_intermediate_losses_have_their_share_and_the_final_one_the_rest(make_trainer, plain):
    """Each by hand from what its layer hears, with the divergence of two views on top."""
    trainer = make_trainer(plain(model=LAYERS, train={"consistency": 0.3}, augment={"time_masks": 1}))
    trainer.model.eval()
    (examples, *_) = plain_plan(trainer.training.items, trainer.config)
    batch = trainer.training[examples, 0]
    losses = batch_losses(trainer.model, batch, False, 0.3, [0, 1], 0.4)
    without = batch_losses(trainer.model, batch, False, 0.0)
    agreement = batch_losses(trainer.model, batch, False, 0.3) - without

    lower = torch.zeros(len(losses))
    for view in range(2):
        features, frames = trainer.model.features(batch.waveforms, batch.lengths, batch.tones[view])
        features = spec_augment(features, batch.time_masks[view], batch.mel_masks[view])
        _, heard, steps = trainer.model.encode_with(features, frames, [0, 1])
        targets = torch.split(batch.targets, batch.target_lengths.tolist())
        for layer in heard:
            for number, (row, size, target) in enumerate(zip(layer, steps.tolist(), targets, strict=True)):
                lower[number] -= float(all_alignments(row[:size].detach().double(), target.tolist())) / 4
    torch.testing.assert_close(losses, 0.6 * without + 0.4 * lower + agreement, rtol=1e-4, atol=1e-4)


def test_intermediate_losses_reach_the_lower_layers_and_no_higher_ones(make_trainer, plain):
    trainer = make_trainer(plain(model=LAYERS))
    batch = one_batch(trainer)

    def gradients(*more: object) -> dict[str, torch.Tensor]:
        trainer.model.zero_grad()
        batch_losses(trainer.model, batch, False, 0.0, *more).sum().backward()
        return {name: parameter.grad.clone() for name, parameter in trainer.model.named_parameters()}

    alone, helped = gradients(), gradients([0], 0.9)
    for name in alone:
        if name.startswith(("layers.1.", "layers.2.", "between.0.", "between.1.")):  # only on the final loss' way
            torch.testing.assert_close(helped[name], 0.1 * alone[name], rtol=1e-3, atol=1e-5)
        if name.startswith("layers.0.") and "weight" in name:
            assert helped[name].norm() > 0.1 * alone[name].norm() * 2, name


@pytest.mark.parametrize("bf16", [False, True])
def test_intermediate_losses_are_float32_and_none_changes_nothing(bf16, make_trainer, plain):
    trainer = make_trainer(plain(model=LAYERS))
    batch = one_batch(trainer)
    assert batch_losses(trainer.model, batch, bf16, 0.0, [1], 0.3).dtype == torch.float32
    assert torch.equal(batch_losses(trainer.model, batch, bf16), batch_losses(trainer.model, batch, bf16, 0.0, [], 0.9))
