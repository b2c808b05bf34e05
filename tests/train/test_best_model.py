"""Which weights become the run's model: the best epoch's or an average, whatever happens to the run."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from asr.cli.main import app
from asr.model.file import load_model
from asr.train import average, best_model, loop
from asr.train.checkpoint import checkpoints
from asr.train.journal import read_log
from asr.train.loop import Trainer
from asr.train.run import train
from asr.train.validate import Validation

AVERAGED = {"epochs": 4, "average": "last", "average_epochs": 2}


def validations(monkeypatch, *rates: float) -> None:
    """Let each validation find the next of these error rates, the average's coming last."""
    left = iter(rates)
    monkeypatch.setattr(loop, "validate", lambda *_: Validation(1.0, next(left), 0.5, "ab", "a"))


def averages(run: Path) -> list[dict]:
    return [record for record in read_log(run / "log.jsonl") if record["kind"] == "average"]


def assert_same_end(one: Path, other: Path) -> None:
    """Bit for bit: the model file, the epochs' weights, the state, and the log but for the clock."""
    for file in ("model.safetensors", *(f"epochs/{path.name}" for path in (one / "epochs").iterdir())):
        assert (one / file).read_bytes() == (other / file).read_bytes(), file
    assert len(list((one / "epochs").iterdir())) == len(list((other / "epochs").iterdir()))
    states = [torch.load(checkpoints(run / "checkpoints")[0], weights_only=True) for run in (one, other)]
    assert all(torch.equal(states[0]["model"][name], states[1]["model"][name]) for name in states[0]["model"])
    clock = ("seconds", "audio_per_second")
    for state in states:
        del state["progress"]["seconds"]
    assert states[0]["progress"] == states[1]["progress"]
    logs = [
        [{k: v for k, v in r.items() if k not in clock} for r in read_log(run / "log.jsonl") if r["kind"] != "sitting"]
        for run in (one, other)
    ]
    assert logs[0] == logs[1]


def assert_model_is(run: Path, *epochs: int) -> None:
    """The run's model is the mean of these epochs' weights."""
    model = dict(load_model(run).model.named_parameters())
    parts = [load_file(run / "epochs" / f"epoch-{epoch:04d}.safetensors") for epoch in epochs]
    for name, weight in model.items():
        expected = torch.stack([part[name] for part in parts]).double().mean(0).float()
        assert torch.equal(weight.detach(), expected), name


@pytest.mark.parametrize(
    ("choice", "epochs"),
    [("last", [3, 4]), ("best", [2, 3])],
)
def test_a_good_average_becomes_the_model(choice, epochs, tones, settings, tmp_path, monkeypatch, capsys):
    validations(monkeypatch, 0.9, 0.4, 0.5, 0.6, 0.4)  # as good as the best epoch is good enough
    train(settings(train=AVERAGED | {"average": choice}), tones, tmp_path / "run")
    assert_model_is(tmp_path / "run", *epochs)
    facts = load_model(tmp_path / "run").training
    assert facts["averaged"] == {"choice": choice, "epochs": epochs}
    assert (facts["epoch"], facts["validation"]["cer"], facts["validation"]["utterances"]) == (4, 0.4, 4)
    assert {path.name for path in (tmp_path / "run" / "epochs").iterdir()} == {
        f"epoch-{epoch:04d}.safetensors" for epoch in epochs
    }
    (record,) = averages(tmp_path / "run")
    assert (record["epochs"], record["cer"], record["kept"]) == (epochs, 0.4, True)
    err = capsys.readouterr().err
    assert f"average of the weights of epochs {epochs[0]}, {epochs[1]}: validation WER" in err
    assert "now the run's model" in err


def test_a_bad_average_leaves_the_best_epoch(tones, settings, tmp_path, monkeypatch, capsys):
    validations(monkeypatch, 0.9, 0.4, 0.5, 0.6, 0.41)
    train(settings(train=AVERAGED | {"average": "best"}), tones, tmp_path / "run")
    assert_model_is(tmp_path / "run", 2)
    facts = load_model(tmp_path / "run").training
    assert "averaged" not in facts
    assert (facts["epoch"], facts["validation"]["cer"]) == (2, 0.4)
    assert [record["kept"] for record in averages(tmp_path / "run")] == [False]
    assert "so the run's model is kept" in capsys.readouterr().err


def test_the_average_is_what_was_validated(tones, settings, tmp_path, monkeypatch):
    """And the weights in training, those of the last epoch, are there again for the checkpoint."""
    seen = []
    validate = loop.validate

    def watch(model, *rest):
        seen.append({name: parameter.clone() for name, parameter in model.named_parameters()})
        return validate(model, *rest)

    monkeypatch.setattr(loop, "validate", watch)
    train(settings(train=AVERAGED), tones, tmp_path / "run")
    state = torch.load(checkpoints(tmp_path / "run" / "checkpoints")[0], weights_only=True)["model"]
    for name, weight in seen[-1].items():
        expected = torch.stack([seen[-3][name], seen[-2][name]]).double().mean(0).float()
        assert torch.equal(weight, expected)
        assert torch.equal(state[name], seen[-2][name])


def test_of_a_moving_average_the_epochs_average_is_taken(tones, settings, tmp_path, monkeypatch):
    validations(monkeypatch, 0.5, 0.5, 0.1)
    trained = []
    fit = Trainer.fit
    monkeypatch.setattr(Trainer, "fit", lambda trainer, journal: (trained.append(trainer), fit(trainer, journal)))
    train(settings(train=AVERAGED | {"epochs": 2, "ema": 0.9}), tones, tmp_path / "run")
    last = load_file(tmp_path / "run" / "epochs" / "epoch-0002.safetensors")
    assert all(torch.equal(last[name], weight) for name, weight in trained[0].average.weights.items())
    assert_model_is(tmp_path / "run", 1, 2)


def test_a_run_without_an_average_keeps_no_epochs(tones, settings, tmp_path):
    train(settings(train={"epochs": 1}), tones, tmp_path / "run")
    assert not (tmp_path / "run" / "epochs").exists()
    assert averages(tmp_path / "run") == []


RATES = (0.9, 0.4, 0.5, 0.3, 0.3)  # four epochs and their average
MOMENTS = {  # the call of a function that is interrupted; there are 3 steps and 2 checkpoints an epoch
    "between the weights of an epoch and its checkpoint": (loop, "save_checkpoint", 4),
    "in the last epoch": (Trainer, "_step", 12),
    "while the last epoch's weights are written": (average, "save", 4),
    "before the average": (Trainer, "_average_epochs", 1),
    "before the average is written": (best_model, "save_model", 4),
    "before the last checkpoint": (loop, "save_checkpoint", 8),
}


@pytest.fixture(scope="module")
def whole(tones, settings, tmp_path_factory) -> Path:
    """A run that was not interrupted; it averages epochs 3 and 4."""
    out = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as patch:
        validations_of_epochs(patch)
        train(settings(train=AVERAGED | {"checkpoint_steps": 2}), tones, out)
    assert averages(out)[0]["kept"]
    return out


def validations_of_epochs(patch: pytest.MonkeyPatch) -> None:
    """Let the validation of an epoch, or of the average, find the same in each sitting."""

    def watch(trainer: Trainer) -> Validation:
        step = trainer.progress.epoch if trainer.progress.epoch_step else 4  # after the last epoch: the average
        return Validation(1.0, RATES[step], 0.5, "ab", "a")

    patch.setattr(Trainer, "_validate", watch)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_that_is_interrupted_ends_the_same(moment, whole, tones, settings, tmp_path, monkeypatch):
    validations_of_epochs(monkeypatch)
    config = settings(train=AVERAGED | {"checkpoint_steps": 2})
    place, name, number = MOMENTS[moment]
    original, calls = getattr(place, name), []

    def interrupted(*arguments, **options):
        calls.append(name)
        if len(calls) == number:
            raise KeyboardInterrupt
        return original(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(place, name, interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(config, tones, tmp_path / "run")
    train(config, tones, tmp_path / "run", resume=True)
    assert_same_end(tmp_path / "run", whole)


def test_nothing_is_done_twice(whole, tones, settings, tmp_path, monkeypatch):
    shutil.copytree(whole, tmp_path / "run")
    monkeypatch.setattr(loop, "validate", None)
    monkeypatch.setattr(best_model, "save_model", None)
    train(settings(train=AVERAGED | {"checkpoint_steps": 2}), tones, tmp_path / "run", resume=True)
    assert_same_end(tmp_path / "run", whole)


@pytest.mark.parametrize(
    ("rates", "model"),
    [
        ((0.35, 0.35, 0.32), (3, 4)),  # epochs that are no better than the average, nor is theirs
        ((0.35, 0.35, 0.3), (5, 6)),
        ((0.25, 0.35, 0.26), (5,)),
    ],
)
def test_more_epochs_only_replace_what_they_are_better_than(
    rates, model, whole, tones, settings, tmp_path, monkeypatch
):
    """The best epoch of the first sitting, with 0.3, is gone, since an average was as good."""
    shutil.copytree(whole, tmp_path / "run")
    shutil.copytree(whole / "epochs", tmp_path / "before")
    validations(monkeypatch, *rates)
    train(settings(train=AVERAGED | {"checkpoint_steps": 2, "epochs": 6}), tones, tmp_path / "run", resume=True)
    for path in (tmp_path / "before").iterdir():
        shutil.copy(path, tmp_path / "run" / "epochs")
    assert_model_is(tmp_path / "run", *model)
    assert [record["epochs"] for record in averages(tmp_path / "run")] == [[3, 4], [5, 6]]
    assert load_model(tmp_path / "run").training.get("averaged", {}).get("epochs") == (
        list(model) if len(model) > 1 else None
    )


def test_a_run_that_stops_early_is_averaged_once(tones, settings, tmp_path, monkeypatch, capsys):
    config = settings(train=AVERAGED | {"epochs": 9, "patience": 2})
    validations(monkeypatch, 0.9, 0.5, 0.6, 0.7, 0.4)
    train(config, tones, tmp_path / "run")
    assert_model_is(tmp_path / "run", 3, 4)
    assert "stopped early" in capsys.readouterr().err
    train(config, tones, tmp_path / "run", resume=True)
    assert len(averages(tmp_path / "run")) == 1


def test_info_says_what_was_averaged(whole):
    out = CliRunner().invoke(app, ["info", str(whole)]).output
    assert "averaged:     the weights of the last epochs: 3, 4" in out
    assert "weights of:   epoch 4" in out
