"""Steps that are read together: nothing is waited for before, and what is read late is noticed in time."""

import math
from contextlib import nullcontext, suppress
from dataclasses import replace

import pytest
import torch

from asr.data import dataset
from asr.data.dataset import Batch
from asr.data.plan import plain_plan
from asr.errors import AudioError, TrainingError
from asr.train import deferred_metrics, loop, losses
from asr.train.average import MovingAverage
from asr.train.checkpoint import Progress, checkpoints
from asr.train.deferred_metrics import READ_EVERY, Unread, UnreadStep
from asr.train.group import Group
from asr.train.journal import Journal, Silence, read_log
from asr.train.loop import Trainer


def fit(trainer: Trainer, at_most: int = READ_EVERY) -> list[dict]:
    """Train to the end, reading as on a GPU, and return the log."""
    trainer.unread.at_most = at_most
    with Journal(trainer.folder, 0) as journal:
        trainer.fit(journal)
    return read_log(trainer.folder / "log.jsonl")


def steps_of(trainer: Trainer) -> list[int]:
    """The steps in the log."""
    return [record["step"] for record in read_log(trainer.folder / "log.jsonl") if record["kind"] == "step"]


def poison(monkeypatch, number: int) -> list[str]:
    """Let an example of a step have no finite loss; its id is in the list once that step is taken."""
    original, named = Trainer._step, []

    def step(trainer, planned, parts, *rest):
        if trainer.progress.step + 1 == number:
            named.append(parts[0].ids[-1])
            parts[0].waveforms[-1, 0] = math.nan
        return original(trainer, planned, parts, *rest)

    monkeypatch.setattr(Trainer, "_step", step)
    return named


class Recorder:
    """In the place of an optimiser; torch has no fused one for tensors without content."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.model = model
        self.param_groups: list[dict] = [{}]

    def zero_grad(self) -> None:
        self.model.zero_grad()

    def step(self) -> None:
        assert self.found_inf.is_meta


@pytest.mark.parametrize("section", [{}, {"consistency": 0.2, "intermediate": [0], "ema": 0.9}])
def test_a_step_waits_for_no_number(section, make_trainer, settings, monkeypatch):
    """On the device `meta` there are none to wait for: each attempt to read one, or to move it to the host, fails."""
    config = settings(model={"layers": 2}, batches={"unreadable": 3}, train=section)
    trainer = make_trainer(config)
    trainer.model.to("meta")
    trainer.group.device = torch.device("meta")
    trainer.optimizer = Recorder(trainer.model)
    trainer.average = MovingAverage(trainer.model, 0.9) if config.train.ema else None
    asked = []

    def ctc_loss(heard, targets, steps, lengths, **_):  # of which torch has none for these tensors
        assert not steps.is_meta and not lengths.is_meta
        asked.append(targets.device.type)
        return heard.sum((0, 2))

    monkeypatch.setattr(losses.functional, "ctc_loss", ctc_loss)
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    plan = plain_plan(trainer.training.items, config)[:1]
    (batch,) = trainer.training.batches(plan, 0)
    taken = trainer._step(plan, {0: batch}, 0.0, 1e-3)
    assert asked == ["meta"] * (2 if section else 1)
    trainer.unread.add(taken)
    with pytest.raises((NotImplementedError, RuntimeError)):
        trainer.unread.read(Silence())


def test_the_steps_of_a_host_are_the_models(make_trainer, settings):
    """They are computed twice, so that nobody waits for them."""
    subsample = [{"channels": 4, "kernel": 5, "stride": 2}, {"channels": 4, "kernel": 3, "stride": 3}]
    model = make_trainer(settings(model={"subsample": subsample})).model.eval()
    lengths = torch.tensor([79, 80, 81, 400, 1000, 1234, 5000])
    with torch.inference_mode():
        assert torch.equal(model(torch.zeros(7, 5000), lengths)[1], model.step_lengths(lengths))


def test_who_reads_seldom_learns_the_same(make_trainer, settings):
    """Weights, checkpoints and log, but for the time between steps."""
    ends = []
    for at_most in (1, 3, READ_EVERY):
        config = settings(train={"ema": 0.9, "checkpoint_steps": 4}, batches={"max_utterances": 1})
        trainer = make_trainer(config)
        trainer.folder = trainer.folder / f"every {at_most}"
        trainer.keeper.path = trainer.folder / "model.safetensors"
        trainer.folder.mkdir()
        records = fit(trainer, at_most)
        clock = ("seconds", "audio_per_second")
        log = [{key: value for key, value in record.items() if key not in clock} for record in records]
        ends.append((log, trainer.model.state_dict()))
        assert trainer.progress.step > 12 and trainer.unread.steps == []
        assert all(record["audio_per_second"] > 0 for record in records if record["kind"] == "step")
        seconds = [record["seconds"] for record in records]
        assert seconds == sorted(seconds) and seconds[-1] == trainer.progress.seconds
    for log, weights in ends[1:]:
        assert log == ends[0][0]
        assert all(torch.equal(weights[name], value) for name, value in ends[0][1].items())


def test_all_is_read_before_it_is_kept(make_trainer, settings, monkeypatch):
    trainer = make_trainer(settings(train={"checkpoint_steps": 2}, batches={"max_utterances": 2}))
    waits = []
    monkeypatch.setattr(loop, "save_checkpoint", lambda *_: waits.append((trainer.progress.step, steps_of(trainer))))
    validate = loop.validate
    monkeypatch.setattr(
        loop, "validate", lambda *rest: (waits.append((trainer.progress.step, steps_of(trainer))), validate(*rest))[1]
    )
    fit(trainer)
    assert len(waits) > 6
    assert all(logged == list(range(1, step + 1)) for step, logged in waits)


def test_a_gpu_is_read_every_so_many_steps():
    assert Unread(Progress(), Group(), 0).at_most == 1
    assert Unread(Progress(), Group(device=torch.device("cuda", 0)), 0).at_most == READ_EVERY > 1


@pytest.mark.parametrize("at_most", [1, READ_EVERY])
def test_what_is_not_finite_reaches_neither_weights_nor_checkpoints(at_most, make_trainer, settings, monkeypatch):
    """Also where many steps are taken before it is known."""
    trainer = make_trainer(settings(train={"checkpoint_steps": 6}, batches={"max_utterances": 1}))
    named = poison(monkeypatch, 3)
    trainer.tried = True
    with pytest.raises(TrainingError) as error:
        fit(trainer, at_most)
    assert f"step 3: the loss of {named[0]} is not finite" in str(error.value)
    assert trainer.progress.step == (3 if at_most == 1 else 6)
    assert [path.name for path in checkpoints(trainer.folder / "checkpoints")] == ["step-00000000.pt"]
    assert steps_of(trainer) == [1, 2]
    assert all(value.isfinite().all() for value in trainer.model.state_dict().values())


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
def test_a_step_that_is_not_finite_is_none(optimizer, make_trainer, plain, monkeypatch):
    """On the device, with nobody looking: weights and what the optimiser remembers stay as they were."""
    poison(monkeypatch, 2)
    trainer = make_trainer(plain(train={"optimizer": optimizer}))
    plan = plain_plan(trainer.training.items, trainer.config)[:1]

    def take() -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        (batch,) = trainer.training.batches(plan, None)
        trainer._step(plan, {0: batch}, 0.0, 1e-2)
        trainer.progress.step += 1
        remembered = [value for state in trainer.optimizer.state.values() for value in state.values()]
        return [one.detach().clone() for one in trainer.model.parameters()], [one.clone() for one in remembered]

    first, poisoned, after = take(), take(), take()
    for one, other in zip(first, poisoned, strict=True):
        assert all(map(torch.equal, one, other))
    assert not all(map(torch.equal, first[0], after[0]))


@pytest.mark.parametrize("error", [KeyboardInterrupt, AudioError])
def test_a_run_that_is_stopped_logs_what_it_has_done(error, make_trainer, settings, monkeypatch):
    trainer = make_trainer(settings(batches={"max_utterances": 1}))
    original = Trainer._step

    def step(*arguments):
        if trainer.progress.step == 5:
            raise error
        return original(*arguments)

    monkeypatch.setattr(Trainer, "_step", step)
    monkeypatch.setattr(Group, "gather", lambda *_: pytest.fail("the others do not know of it"))
    with suppress(error):
        fit(trainer)
    assert trainer.progress.step == 5
    assert steps_of(trainer) == [1, 2, 3, 4, 5]


class Others(Group):
    """A group in which the other process says this."""

    def __init__(self, *items: object) -> None:
        super().__init__(rank=0, size=2)
        self.items = items

    def gather(self, mine: list) -> list:
        return [*mine, *self.items]


def a_step(**changes: object) -> UnreadStep:
    figures = torch.tensor([1.0, 2.0, 0.0], dtype=torch.float64)
    return replace(UnreadStep(7, 1, 1e-3, 0.5, 10.0, figures, [], {}), **changes)


def test_recordings_that_others_could_not_read_count_too(capsys, tmp_path):
    lost = a_step(figures=torch.tensor([1.0, 2.0, 9.0]), lost={"a": "a.wav: broken"})
    progress = Progress()
    pending = Unread(progress, Others(("b", "b.wav: broken"), ("c", "c.wav: broken")), tolerated=3)
    for _ in range(2):  # once in a run
        pending.add(lost)
        with Journal(tmp_path, 0) as journal:
            pending.read(journal)
    assert progress.unreadable == ["a", "b", "c"]
    said = capsys.readouterr().err
    assert [said.count(f"left out ({n} of at most 3): {name}.wav") for n, name in enumerate("abc", 1)] == [1, 1, 1]
    progress.unreadable, pending.tolerated = [], 2
    pending.add(lost)
    with pytest.raises(AudioError, match=r"c\.wav: broken \(batches\.unreadable allows 2\)"):
        pending.read(Silence())


def test_where_nothing_was_lost_nobody_is_asked(monkeypatch):
    pending = Unread(Progress(), Others(), 3)
    monkeypatch.setattr(Others, "gather", lambda *_: pytest.fail("asked"))
    pending.add(a_step())
    pending.read(Silence())
    assert pending.progress.loss == 1.0


def test_a_loss_of_another_process_is_named(monkeypatch):
    pending = Unread(Progress(), Others("theirs"), 0)
    ours = [(["ours"], torch.tensor([1.0]))]
    pending.add(a_step(figures=torch.tensor([math.nan, math.nan, 0.0]), losses=ours))
    with pytest.raises(TrainingError, match="step 7: the loss of theirs is not finite"):
        pending.read(Silence())


def test_batches_for_a_gpu_are_pinned(make_trainer, settings, monkeypatch):
    """As far as can be seen without one: the loader is asked to, and pins each tensor of a batch."""
    asked = []

    class Loader(dataset.DataLoader):
        def __init__(self, *arguments, pin_memory: bool, **options) -> None:
            asked.append(pin_memory)
            super().__init__(*arguments, **options)

    monkeypatch.setattr(dataset, "DataLoader", Loader)
    training = make_trainer(settings()).training
    plan = plain_plan(training.items, training.config)[:1]
    for device in (None, torch.device("cpu"), torch.device("cuda", 0)):
        (batch,) = training.batches(plan, None, device)
    assert asked == [False, False, True]
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor + 1)
    pinned = torch.utils.data._utils.pin_memory.pin_memory(batch)
    assert isinstance(pinned, Batch) and pinned.ids == batch.ids
    tensors = {name: value for name, value in vars(batch).items() if isinstance(value, torch.Tensor)}
    assert len(tensors) == 7
    assert all(torch.equal(getattr(pinned, name), value + 1) for name, value in tensors.items())


def test_it_is_full_after_so_many_steps(monkeypatch):
    monkeypatch.setattr(deferred_metrics, "READ_EVERY", 2)
    pending = Unread(Progress(), Group(device=torch.device("cuda", 0)), 0)
    full = []
    for _ in range(2):
        pending.add(a_step())
        full.append(pending.full)
    assert full == [False, True]
