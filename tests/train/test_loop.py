"""The loop: its steps, what it does where numbers go wrong or do not fit, what it keeps, and when it stops."""

import shutil
from dataclasses import replace

import pytest
import torch

from asr.data.dataset import Batch
from asr.data.plan import epoch_plan, padding_share, plain_plan
from asr.errors import AudioError, TrainingError
from asr.model.file import load_model
from asr.train import best_model, loop
from asr.train.checkpoint import load_checkpoint
from asr.train.journal import Journal, Silence, read_log
from asr.train.loop import Trainer
from asr.train.losses import batch_losses
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


def step(trainer: Trainer, batch: Batch, rate: float) -> tuple[float, float]:
    """An optimiser step on the first batch of the plan, read: its loss a token, and the length of its gradient."""
    taken = trainer._step(plain_plan(trainer.training.items, trainer.config)[:1], {0: batch}, 0.5, rate)
    trainer.unread.add(taken)
    trainer.unread.read(Silence())
    loss, gradient, _ = taken.figures.tolist()
    return loss, gradient


def test_a_batch_weighs_its_target_tokens_alike(make_trainer, plain):
    """The loss of a step is the sum over utterances divided by the number of target tokens."""
    trainer = make_trainer(plain(train={"lr": 1e-9}))
    batch = one_batch(trainer)
    loss, gradient = step(trainer, batch, 1e-9)
    losses = batch_losses(trainer.model, batch, bf16=False)
    assert loss == pytest.approx(float(losses.detach().sum()) / len(batch.targets), rel=1e-4)
    assert gradient > 0


def test_accumulated_batches_are_one_larger_batch(make_trainer, plain):
    """The same gradients, weighed by the tokens that are really in each batch."""
    trainer = make_trainer(plain(batches={"max_utterances": 12}))
    trainer.model.double()
    plan = plain_plan(trainer.training.items, trainer.config)
    assert len(plan) == 1
    cut = [plan[0][:1], plan[0][1:4], plan[0][4:]]
    found = []
    for batches in (plan, cut):
        trainer.optimizer.zero_grad()
        parts = [double(batch) for batch in trainer.training.batches(batches, epoch=None)]
        loss, _ = trainer._gradients(dict(enumerate(parts)), sum(len(part.targets) for part in parts))
        found.append([loss, *(p.grad.clone() for p in trainer.model.parameters())])
    for whole, summed in zip(*found, strict=True):
        torch.testing.assert_close(summed, whole, rtol=1e-9, atol=1e-12)


def double(batch: Batch) -> Batch:
    return replace(batch, waveforms=batch.waveforms.double(), tones=batch.tones.double())


def test_accumulation_counts_steps(make_trainer, settings):
    trainer = make_trainer(settings(train={"accumulate": 2, "checkpoint_steps": 1}))
    records = fit(trainer)
    batches = len(epoch_plan(trainer.training.items, trainer.config, 1, 0))
    steps = [record for record in records if record["kind"] == "step" and record["epoch"] == 1]
    assert batches % 2 and len(steps) == -(-batches // 2)


def test_the_largest_batch_is_tried_first(make_trainer, settings, monkeypatch):
    trainer = make_trainer(settings())
    sizes = []

    def run_out(_, batch, *rest):
        sizes.append(batch.waveforms.numel())
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(loop, "batch_losses", run_out)
    with pytest.raises(TrainingError, match=r"largest batch .* does not fit in memory: lower batches\.max_frames"):
        fit(trainer)
    plan = epoch_plan(trainer.training.items, trainer.config, 1, 0)
    assert sizes == [max(batch.waveforms.numel() for batch in trainer.training.batches(plan, 0))]
    assert not (trainer.folder / "checkpoints").exists()  # so that the folder takes smaller batches


def test_the_largest_validation_batch_is_tried_too(make_trainer, settings, monkeypatch):
    trainer = make_trainer(settings(batches={"max_utterances": 2}))
    tried = []

    def run_out(plan, epoch):
        tried.extend(plan)
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")

    monkeypatch.setattr(trainer.validation, "batches", run_out)

    with pytest.raises(TrainingError, match=r"largest batch \(2 examples of up to 0\.8 s\) does not fit in memory"):
        fit(trainer)
    assert len(tried) == 1
    lengths = [len(batch) * max(one.seconds for one in batch) for batch in (*tried, *trainer.validation_plan)]
    assert lengths[0] == max(lengths)


def test_it_says_how_much_of_the_batches_is_padding(make_trainer, plain, capsys):
    trainer = make_trainer(plain(batches={"max_utterances": 12}, train={"epochs": 1}))
    fit(trainer)
    plan = epoch_plan(trainer.training.items, trainer.config, 1, 0)
    assert f"1 batches per epoch, {100 * padding_share(plan, trainer.config):.0f} % of their frames padding" in (
        capsys.readouterr().err
    )


def test_the_trial_changes_nothing(make_trainer, settings):
    ends = []
    for tried in (False, True):
        trainer = make_trainer(settings(train={"epochs": 1}))
        if not tried:
            trainer._try_largest = lambda journal: None
        shutil.rmtree(trainer.folder / "checkpoints", ignore_errors=True)
        (trainer.folder / "log.jsonl").unlink(missing_ok=True)
        fit(trainer)
        ends.append(trainer.model.state_dict())
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_a_plateau_drops_the_rate(make_trainer, settings, monkeypatch):
    validations(monkeypatch, 0.9, 0.8, 0.85, 0.85, 0.7, 0.75, 0.75, 0.75)
    plateau = {"schedule": "plateau", "plateau_factor": 0.5, "plateau_patience": 1, "warmup": 0.0, "lr": 0.01}
    records = fit(make_trainer(settings(train={"epochs": 8} | plateau)))
    rates = {record["epoch"]: record["lr"] for record in records if record["kind"] == "step"}
    assert list(rates.values()) == [0.01, 0.01, 0.01, 0.01, 0.005, 0.005, 0.005, 0.0025]


def test_a_plateau_is_none_while_the_rate_still_rises(make_trainer, settings, monkeypatch):
    validations(monkeypatch, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6)
    plateau = {"schedule": "plateau", "plateau_factor": 0.5, "plateau_patience": 0, "warmup": 0.5, "lr": 0.01}
    trainer = make_trainer(settings(train={"epochs": 5} | plateau))
    fit(trainer)
    assert trainer.progress.drops == 3  # after the third epoch, which half of the warm-up reaches into, and later ones


def test_only_a_plateau_counts_what_is_no_better(make_trainer, settings, monkeypatch):
    validations(monkeypatch, 0.5, 0.6, 0.7)
    trainer = make_trainer(settings(train={"epochs": 3, "schedule": "cosine", "plateau_patience": 0}))
    fit(trainer)
    assert (trainer.progress.stale, trainer.progress.drops) == (0, 0)


def test_the_average_is_validated_and_kept_and_the_weights_go_on(make_trainer, settings):
    trainer = make_trainer(settings(train={"epochs": 1, "ema": 0.9}))
    fit(trainer)
    kept = dict(load_model(trainer.folder).model.named_parameters())
    own = dict(trainer.model.named_parameters())
    assert all(torch.equal(kept[name], trainer.average.weights[name]) for name in own)
    assert not any(torch.equal(kept[name], own[name]) for name in own)


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
        step(trainer, batch, 1e-3)
    message = str(error.value)
    assert batch.ids[1] in message
    assert (batch.ids[0] in message) == (place == "gradient")  # whose fault a gradient is cannot be told
    assert "train.lr" in message and "another --out" in message and "\n" not in message
    assert all(torch.equal(before[name], value) for name, value in trainer.model.state_dict().items())


def test_an_infinite_loss_names_the_utterance(make_trainer, plain):
    """Should one slip through the selection, by a wrong duration in a manifest."""
    trainer = make_trainer(plain())
    batch = one_batch(trainer)
    batch.lengths[2] = 300
    with pytest.raises(TrainingError, match=f"the loss of {batch.ids[2]} is not finite"):
        step(trainer, batch, 1e-3)


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
    monkeypatch.setattr(best_model, "save_model", lambda _, content: kept.append(content.training))
    trainer = make_trainer(settings(train={"epochs": 4}))
    records = fit(trainer)
    assert [(facts["epoch"], facts["validation"]["cer"]) for facts in kept] == [(1, 0.9), (2, 0.5)]  # 0.5: no better
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
    progress = trainer.progress
    monkeypatch.setattr(trainer, "_save", lambda journal: saved.append((progress.epoch, progress.epoch_step)))
    steps = len(epoch_plan(trainer.training.items, trainer.config, 1, 0))
    fit(trainer)
    assert steps > 2
    assert saved[: steps + 1] == [*((0, batch) for batch in range(steps)), (1, 0)]


def test_bfloat16_training_learns(tones, settings, tmp_path):
    train(settings(train={"epochs": 3, "bf16": "on"}), tones, tmp_path / "run")
    losses = [record["loss"] for record in read_log(tmp_path / "run" / "log.jsonl") if record["kind"] == "epoch"]
    assert 0 < max(losses[1:]) < losses[0]


def test_dropout_is_a_function_of_seed_and_step(make_trainer, settings):
    """Whatever was drawn before."""

    def weights(noise: int) -> torch.Tensor:
        trainer = make_trainer(settings(model={"dropout": 0.5}))
        torch.rand(noise)
        step(trainer, one_batch(trainer), 1e-2)
        return trainer.model.output.weight.detach()

    assert torch.equal(weights(0), weights(7))


def test_checkpoints_come_at_the_start_at_their_steps_and_after_each_epoch(make_trainer, settings, monkeypatch):
    saved = []
    monkeypatch.setattr(
        loop, "save_checkpoint", lambda _, progress, *rest: saved.append((progress.step, progress.epoch_step))
    )
    trainer = make_trainer(settings(train={"epochs": 2, "checkpoint_steps": 2}))
    records = fit(trainer)
    last = [record["step"] for record in records if record["kind"] == "epoch"]
    total = trainer.progress.step
    assert sorted({step for step, _ in saved}) == sorted({*range(0, total + 1, 2), *last})
    assert [step for step, batch in saved if batch == 0] == [0, *last]


def test_the_loop_minimises_what_the_settings_say(make_trainer, plain):
    mixed = {"intermediate": [0], "intermediate_weight": 0.4, "accumulate": 2}
    trainer = make_trainer(plain(model={"layers": 2}, train=mixed))
    batch = one_batch(trainer)
    expected = batch_losses(trainer.model, batch, False, 0.0, [0], 0.4)
    loss, _ = step(trainer, batch, 1e-9)
    assert loss == pytest.approx(float(expected.detach().sum()) / len(batch.targets), rel=1e-5)
    assert loss != pytest.approx(float(batch_losses(trainer.model, batch, False).detach().sum()) / len(batch.targets))


@pytest.mark.parametrize("cache_mb", [0, 100])
def test_a_step_without_an_unreadable_recording_weighs_what_is_left(cache_mb, corpus, plain, tmp_path, capsys):
    """As a training set that never had it, but for the order of random numbers, which nothing here draws."""
    texts = ["ab", "ba", "aab"]
    with_it, without = corpus(tmp_path / "with", texts), corpus(tmp_path / "without", texts[:2])
    (tmp_path / "with" / "audio" / "train-2.wav").write_bytes(b"RIFF")
    small = {"batches": {"cache_mb": cache_mb, "unreadable": 1}}
    with pytest.raises(AudioError, match=r"train-2\.wav"):
        train(plain(**small | {"batches": {"cache_mb": cache_mb}}), with_it, tmp_path / "refused")
    logs = []
    for data in (with_it, without):
        model = train(plain(**small), data, tmp_path / f"{data.name}-run")
        logs.append([record for record in read_log(model.parent / "log.jsonl") if record["kind"] == "step"])
    assert "left out (1 of at most 1): " in (said := capsys.readouterr().err) and said.count("left out") == 1
    for ours, theirs in zip(*logs, strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-4)
        assert ours["gradient"] == pytest.approx(theirs["gradient"], rel=1e-3)
    assert load_checkpoint(tmp_path / "with-run" / "checkpoints")[0]["progress"]["unreadable"] == ["train-2"]


@pytest.mark.parametrize("cache_mb", [0, 100])
def test_an_unreadable_recording_counts_once_whatever_it_is_joined_with(cache_mb, corpus, settings, tmp_path, capsys):
    data = corpus(tmp_path / "data", ["ab", "ba", "aab", "b", "a", "bb"])
    (data / "audio" / "train-2.wav").write_bytes(b"RIFF")
    config = settings(batches={"cache_mb": cache_mb, "unreadable": 1}, train={"epochs": 6})
    train(config, data, tmp_path / "run")
    assert capsys.readouterr().err.count("left out") == 1
    assert load_checkpoint(tmp_path / "run" / "checkpoints")[0]["progress"]["unreadable"] == ["train-2"]


def test_a_step_of_which_nothing_could_be_read_is_a_step(make_trainer, plain):
    """Without a gradient nothing moves."""
    trainer = make_trainer(plain(batches={"unreadable": 3}, train={"weight_decay": 0.0}))
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    read, no = one_batch(trainer), torch.empty(0)
    lost = {name: f"{name}: broken" for name in read.ids}
    assert step(trainer, Batch([], no, no, no, no, no, no, no, lost, len(read.targets)), 1e-2) == (0, 0)
    assert trainer.progress.unreadable == read.ids
    assert all(torch.equal(before[name], value) for name, value in trainer.model.state_dict().items())
