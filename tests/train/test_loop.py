"""The loop: its loss, its masks, what it does where numbers go wrong, and when it stops."""

from dataclasses import replace

import pytest
import torch

from asr.data.plan import epoch_plan, plain_plan
from asr.errors import TrainingError
from asr.train import loop
from asr.train.journal import Journal, read_log
from asr.train.loop import Trainer, batch_losses, blank_out, disagreement, uses_bf16
from asr.train.run import train
from asr.train.validate import Validation


def fit(trainer: Trainer) -> list[dict]:
    """Train to the end and return the log."""
    with Journal(trainer.folder, 0) as journal:
        trainer.fit(journal)
    return read_log(trainer.folder / "log.jsonl")


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


def test_a_batch_weighs_its_target_tokens_alike(make_trainer, plain):
    """The loss of a step is the sum over utterances divided by the number of target tokens."""
    trainer = make_trainer(plain(train={"lr": 1e-9}))
    batch = one_batch(trainer)
    loss, gradient = trainer._step(batch, 1e-9)
    losses = batch_losses(trainer.model, batch, bf16=False)
    assert loss == pytest.approx(float(losses.detach().sum()) / len(batch.targets), rel=1e-4)
    assert gradient > 0


def test_disagreement_is_the_symmetric_divergence():
    """Against torch.distributions, step by step; padding, where the views differ too, has no say."""
    one, other = torch.randn(2, 3, 7, 5, dtype=torch.float64).log_softmax(-1)
    steps = torch.tensor([7, 4, 1])
    found = disagreement(one, other, steps)
    for row, size in enumerate(steps.tolist()):
        p, q = (torch.distributions.Categorical(logits=view[row, :size]) for view in (one, other))
        there, back = torch.distributions.kl_divergence(p, q), torch.distributions.kl_divergence(q, p)
        assert float(found[row]) == pytest.approx(float((there + back).sum()) / 2, rel=1e-9)
    assert not disagreement(one, one, steps).any()


def test_disagreement_draws_each_view_to_the_other_held_still():
    """Its gradient by the logits of one view is half of what is too likely in it (CR-CTC, equation 4)."""
    logits = torch.randn(2, 1, 6, 5, dtype=torch.float64, requires_grad=True)
    one, other = logits.log_softmax(-1)
    disagreement(one, other, torch.tensor([6])).sum().backward()
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
        features = blank_out(features, batch.time_masks[view], batch.mel_masks[view])
        log_probs, steps = trainer.model.encode(features, frames)
        heard.append(log_probs)
    expected = sum(singly) / 2 + 0.3 * disagreement(*heard, steps)
    torch.testing.assert_close(losses, expected, rtol=1e-4, atol=1e-4)
    assert (losses > sum(singly) / 2).all()


def test_masked_frames_and_bands_have_no_say(make_trainer, plain):
    features = torch.randn(2, 10, 6)
    time = torch.tensor([[[2, 4], [3, 7]], [[0, 0], [9, 10]]])
    mels = torch.tensor([[[0, 1]], [[5, 6]]])
    masked = blank_out(features, time, mels)
    expected = features.clone()
    expected[0, 2:7] = 0
    expected[1, 9] = 0
    expected[0, :, 0] = 0
    expected[1, :, 5] = 0
    assert torch.equal(masked, expected)


@pytest.mark.parametrize("place", ["loss", "gradient"])
def test_numbers_that_are_not_finite_stop_the_run_and_name_the_utterances(place, make_trainer, plain):
    trainer = make_trainer(plain())
    batch = one_batch(trainer)
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    if place == "loss":
        batch.waveforms[1, 0] = float("nan")
    else:
        trainer.model.output.weight.register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(TrainingError, match="not finite") as error:
        trainer._step(batch, 1e-3)
    message = str(error.value)
    assert batch.ids[1] in message
    assert (batch.ids[0] in message) == (place == "gradient")  # whose fault a gradient is cannot be told
    assert "train.lr" in message and "--resume" in message and "\n" not in message
    assert all(torch.equal(before[name], value) for name, value in trainer.model.state_dict().items())


def test_an_infinite_loss_names_the_utterance(make_trainer, plain):
    """Should one slip through the selection, by a wrong duration in a manifest."""
    trainer = make_trainer(plain())
    batch = one_batch(trainer)
    batch.lengths[2] = 300
    with pytest.raises(TrainingError, match=f"the loss of {batch.ids[2]} is not finite"):
        trainer._step(batch, 1e-3)


def test_an_epoch_logs_each_step_and_its_validation(make_trainer, settings):
    trainer = make_trainer(settings(train={"epochs": 2, "checkpoint_steps": 1000}))
    records = fit(trainer)
    steps = [record for record in records if record["kind"] == "step"]
    epochs = [record for record in records if record["kind"] == "epoch"]
    assert [record["step"] for record in steps] == list(range(1, len(steps) + 1))
    assert [record["epoch"] for record in epochs] == [1, 2]
    for epoch in epochs:
        losses = [step["loss"] for step in steps if step["epoch"] == epoch["epoch"]]
        assert epoch["loss"] == pytest.approx(sum(losses) / len(losses))
        assert 0 <= epoch["blank"] <= 1 and epoch["reference"] in ("ad", "bac", "c é", "db a")
    assert epochs[0]["best"]
    assert max(step["lr"] for step in steps) <= trainer.config.train.lr
    assert steps[-1]["lr"] < steps[len(steps) // 2]["lr"]
    assert all(step["gradient"] > 0 and step["audio_per_second"] > 0 for step in steps)
    assert trainer.progress.epoch == 2 and trainer.progress.step == len(steps)


def validations(monkeypatch, *rates: float) -> None:
    """Let each validation find the next of these error rates."""
    left = iter(rates)
    monkeypatch.setattr(loop, "validate", lambda *_: Validation(1.0, next(left), 0.5, "ab", "a"))


def test_the_best_model_is_kept_not_the_last(make_trainer, settings, monkeypatch):
    validations(monkeypatch, 0.9, 0.5, 0.5, 0.7)
    kept = []
    trainer = make_trainer(
        settings(train={"epochs": 4}), keep_best=lambda result, progress: kept.append((progress.epoch, result.cer))
    )
    records = fit(trainer)
    assert kept == [(0, 0.9), (1, 0.5)]  # an equal one is no better
    assert [record["best"] for record in records if record["kind"] == "epoch"] == [True, True, False, False]
    assert (trainer.progress.best_epoch, trainer.progress.best_cer) == (1, 0.5)


def test_early_stopping_waits_as_long_as_it_was_told(make_trainer, settings, monkeypatch, capsys):
    validations(monkeypatch, 0.9, 0.5, 0.6, 0.4, 0.4, 0.41, 0.3)
    trainer = make_trainer(settings(train={"epochs": 10, "patience": 2}))
    fit(trainer)
    assert trainer.progress.epoch == 6
    assert "stopped early" in capsys.readouterr().err


def test_a_run_that_stopped_early_stays_stopped(make_trainer, settings, monkeypatch):
    """Taken up again, or killed just before it stopped, it must not train on."""
    validations(monkeypatch, 0.5, 0.6, 0.7, 0.1)
    trainer = make_trainer(settings(train={"epochs": 10, "patience": 2}))
    fit(trainer)
    with Journal(trainer.folder, trainer.progress.step) as journal:
        trainer.fit(journal)
    assert trainer.progress.epoch == 3


def test_an_epoch_is_saved_once_it_is_logged(make_trainer, settings, monkeypatch):
    """A checkpoint between its last step and its line in the log would have a resumed run log it twice."""
    trainer = make_trainer(settings(train={"epochs": 2, "checkpoint_steps": 1}))
    saved = []
    monkeypatch.setattr(trainer, "_save", lambda: saved.append((trainer.progress.epoch, trainer.progress.batch)))
    steps = len(epoch_plan(trainer.training.items, trainer.config, 1, 0))
    fit(trainer)
    assert steps > 2
    assert saved[:steps] == [*((0, batch) for batch in range(1, steps)), (1, 0)]


def test_bfloat16_by_setting():
    cpu = torch.device("cpu")
    assert uses_bf16("on", cpu) is True
    assert uses_bf16("off", cpu) is False
    assert uses_bf16("auto", cpu) in (True, False)


def test_bfloat16_training_learns(tones, settings, tmp_path):
    train(settings(train={"epochs": 1, "bf16": "on"}), tones, tmp_path / "run")
    losses = [record["loss"] for record in read_log(tmp_path / "run" / "log.jsonl") if record["kind"] == "step"]
    assert all(0 < loss < 100 for loss in losses)


def test_dropout_is_a_function_of_seed_and_step(make_trainer, settings):
    """Whatever was drawn before."""

    def weights(noise: int) -> torch.Tensor:
        trainer = make_trainer(settings(model={"dropout": 0.5}))
        torch.rand(noise)
        trainer._step(one_batch(trainer), 1e-2)
        return trainer.model.output.weight.detach()

    assert torch.equal(weights(0), weights(7))


def test_checkpoints_come_at_their_steps_and_after_each_epoch(make_trainer, settings, monkeypatch):
    saved = []
    monkeypatch.setattr(
        loop, "save_checkpoint", lambda _, progress, *rest: saved.append((progress.step, progress.batch))
    )
    trainer = make_trainer(settings(train={"epochs": 2, "checkpoint_steps": 2}))
    records = fit(trainer)
    last = [record["step"] for record in records if record["kind"] == "epoch"]
    total = trainer.progress.step
    assert sorted({step for step, _ in saved}) == sorted({*range(2, total + 1, 2), *last})
    assert [step for step, batch in saved if batch == 0] == last
