"""A run from data folder to model file: what it leaves, what it refuses, how it goes on."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from refusal import refused

from asr import atomic
from asr.atomic import claimed
from asr.data.manifest import read_manifest, write_manifest
from asr.errors import AsrError, AudioError, ManifestError, TrainingError
from asr.model.file import ModelFile, load_model, save_model
from asr.train import loop
from asr.train.checkpoint import checkpoints
from asr.train.journal import read_log
from asr.train.loop import Trainer
from asr.train.run import text_tools, train


def weights(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(checkpoints(run / "checkpoints")[0], weights_only=True)["model"]


def assert_same_end(one: Path, other: Path) -> None:
    """Bit for bit."""
    assert (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()
    ours, theirs = weights(one), weights(other)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.fixture(scope="module")
def finished(tones, settings, tmp_path_factory) -> Path:
    """A run that came to its end."""
    out = tmp_path_factory.mktemp("runs") / "finished"
    train(settings(), tones, out)
    return out


@pytest.fixture
def run(finished, tmp_path) -> Path:
    """A copy of it, to be changed."""
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"


def test_what_a_run_leaves(finished, settings):
    assert sorted(path.name for path in finished.iterdir()) == [
        "checkpoints",
        "config.yaml",
        "curves.png",
        "heard.json",
        "log.jsonl",
        "model.safetensors",
        "tensorboard",
    ]
    content = load_model(finished)
    assert content.config == settings()
    assert content.tokenizer.tokens == ("<blank>", *" abcdeé")
    facts = content.training
    assert (facts["name"], facts["dataset"], facts["train_utterances"]) == ("tones", "tones", 12)
    log = read_log(finished / "log.jsonl")
    assert [record["precision"] for record in log if record["kind"] == "sitting"] == ["float32"]
    best = min((record for record in log if record["kind"] == "epoch"), key=lambda record: record["cer"])
    assert facts["validation"] == {"wer": best["wer"], "cer": best["cer"], "utterances": 4}
    assert (facts["epoch"], facts["step"]) == (best["epoch"], best["step"])
    assert facts["versions"]["torch"] == torch.__version__


def test_the_same_settings_make_the_same_file(finished, tones, settings, tmp_path):
    train(settings(), tones, tmp_path / "again")
    assert_same_end(finished, tmp_path / "again")


def test_another_seed_makes_another_model(finished, tones, settings, tmp_path):
    train(settings(train={"seed": 2}), tones, tmp_path / "other")
    ours, theirs = weights(finished), weights(tmp_path / "other")
    assert not torch.equal(ours["output.weight"], theirs["output.weight"])


def test_features_are_normalised_by_the_training_set(finished, tones):
    """Zero mean, unit variance a band, over the unchanged training recordings."""
    content = load_model(finished)
    from asr.audio import read_audio

    frames = []
    for utterance in read_manifest(tones / "train.jsonl"):
        waveform = torch.from_numpy(read_audio(utterance.audio, 8000))[None]
        frames.append(content.model.features(waveform, torch.tensor([waveform.shape[1]]))[0][0])
    features = torch.cat(frames)
    assert torch.allclose(features.mean(0), torch.zeros(16), atol=1e-3)
    assert torch.allclose(features.std(0), torch.ones(16), atol=1e-2)


def test_a_band_that_holds_nothing_is_not_blown_up(settings, corpus, tmp_path):
    """Above 4 kHz there is nothing in recordings of 8 kHz: without a bound a tone would be of 20 deviations."""
    folder = corpus(tmp_path / "data", ["ab", "ba"], ["cd"])
    train(settings(features={"sample_rate": 16000, "mels": 20}, train={"epochs": 1}), folder, tmp_path / "run")
    deviations = load_model(tmp_path / "run").model.std
    assert float(deviations.min()) == 0.5 and float(deviations.max()) > 1


def test_a_resumed_run_has_the_running_statistics_of_one_that_was_not(tones, settings, tmp_path):
    """Each start tries the largest batch, of which nothing may stay in batch normalisation."""
    steady = {"schedule": "constant", "warmup": 0}
    for name, sittings in (("straight", [2]), ("resumed", [1, 2])):
        for epochs in sittings:
            config = settings(model={"norm": "batch"}, train=steady | {"epochs": epochs})
            train(config, tones, tmp_path / name, resume=epochs == 2)
    first, second = (
        torch.load(sorted((tmp_path / name / "checkpoints").iterdir())[-1], weights_only=False)["model"]
        for name in ("straight", "resumed")
    )
    assert "subsample.0.after.norm.running_mean" in first
    assert [name for name in first if not torch.equal(first[name], second[name])] == []


def test_an_existing_run_is_not_overwritten(run, tones, settings):
    before = (run / "model.safetensors").read_bytes()
    assert "--resume" in refused(TrainingError, settings(train={"seed": 2}), tones, run)
    assert (run / "model.safetensors").read_bytes() == before


def test_a_folder_that_is_no_run_is_not_filled(tones, settings, tmp_path):
    (tmp_path / "thesis.txt").write_text("the only copy")
    assert "not a run" in refused(TrainingError, settings(), tones, tmp_path, resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_config_of_somebody_s_own_is_not_replaced(tones, settings, tmp_path):
    own = tmp_path / "config.yaml"
    own.write_text("name: mine  # with a comment\n")
    assert "not empty, and not a run" in refused(TrainingError, settings(), tones, tmp_path, resume=True)
    assert own.read_text() == "name: mine  # with a comment\n"


def test_resuming_what_does_not_exist_starts_it(finished, tones, settings, tmp_path):
    train(settings(), tones, tmp_path / "new", resume=True)
    assert_same_end(finished, tmp_path / "new")


def test_resuming_what_is_finished_changes_nothing(finished, run, tones, settings, capsys):
    train(settings(), tones, run, resume=True)
    assert f"all {settings().train.epochs} epochs are done" in capsys.readouterr().err
    assert_same_end(finished, run)
    assert read_log(run / "log.jsonl") == read_log(finished / "log.jsonl")


def test_other_settings_are_refused_and_shown(run, tones, settings):
    config = settings(train={"lr": 0.5}, model={"hidden": 16})
    message = refused(TrainingError, config, tones, run, resume=True)
    assert "train.lr: 0.01 -> 0.5" in message
    assert "model.hidden: 12 -> 16" in message
    assert "train.seed" not in message


def test_workers_threads_and_epochs_may_change(run, tones, settings, capsys):
    train(settings(batches={"workers": 1}, train={"epochs": 3, "threads": 2}), tones, run, resume=True)
    assert "3 epochs instead of 2: the learning rate continues from 0.0031 instead of 0.0001" in capsys.readouterr().err
    assert [record["epoch"] for record in read_log(run / "log.jsonl") if record["kind"] == "epoch"] == [1, 2, 3]
    assert "epochs: 3" in (run / "config.yaml").read_text()
    assert "train.epochs: 3 -> 2" in refused(TrainingError, settings(train={"epochs": 2}), tones, run, resume=True)
    assert "epochs: 3" in (run / "config.yaml").read_text()


def test_a_run_that_lost_its_model_does_not_go_on_as_if_it_had_one(run, tones, settings):
    (run / "model.safetensors").unlink()
    message = refused(TrainingError, settings(train={"epochs": 3}), tones, run, resume=True)
    assert "has lost model.safetensors" in message
    assert "epochs: 2" in (run / "config.yaml").read_text()


def test_a_folder_in_which_batches_did_not_fit_takes_smaller_ones(finished, tones, settings, tmp_path, monkeypatch):
    def run_out(*_):
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(loop, "batch_losses", run_out)
        assert "batches.max_frames" in refused(
            TrainingError, settings(batches={"max_utterances": 4}), tones, tmp_path / "run"
        )
    train(settings(), tones, tmp_path / "run")
    assert_same_end(finished, tmp_path / "run")


def test_a_run_that_lost_its_log_is_still_a_run(run, tones, settings):
    (run / "log.jsonl").unlink()
    assert "--resume" in refused(TrainingError, settings(), tones, run)


@pytest.mark.parametrize("split", ["train", "valid"])
def test_other_data_is_refused(run, tones, settings, tmp_path, split):
    """And what is refused changes nothing: the run goes on under its own settings."""
    folder = tmp_path / "data"
    shutil.copytree(tones, folder)
    write_manifest(folder / f"{split}.jsonl", read_manifest(folder / f"{split}.jsonl")[1:])
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    longer = settings(train={"epochs": 9})
    assert "not the training and validation sets" in refused(TrainingError, longer, folder, run, resume=True)
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_other_speakers_are_other_data(run, tones, settings, tmp_path):
    """They decide which utterances are joined."""
    folder = tmp_path / "data"
    shutil.copytree(tones, folder)
    utterances = read_manifest(folder / "train.jsonl")
    write_manifest(folder / "train.jsonl", [replace(utterances[0], speaker="ann"), *utterances[1:]])
    assert "not the training and validation sets" in refused(TrainingError, settings(), folder, run, resume=True)


def test_noise_and_rooms_are_part_of_the_data(tones, settings, record, tmp_path, capsys):
    """They may stand elsewhere when the run goes on, but they may not change."""
    record(tmp_path / "first", "noise", ["ab", "c"])
    noise = tmp_path / "first" / "audio"

    def noisy(folder: Path, epochs: int = 1):
        augment = {"noise": 1, "noise_files": str(folder), "reverb": 1, "reverb_files": str(folder / "noise-1.wav")}
        return settings(augment=augment, train={"epochs": epochs})

    train(noisy(noise), tones, tmp_path / "run")
    err = capsys.readouterr().err
    assert "augment.noise_files: 2 files" in err and "augment.reverb_files: 1 files" in err
    moved = noise.rename(tmp_path / "moved")
    train(noisy(moved, epochs=2), tones, tmp_path / "run", resume=True)
    (moved / "noise-0.wav").unlink()
    for config in (noisy(moved, epochs=3), settings(augment={"noise": 1, "reverb": 1}, train={"epochs": 3})):
        message = refused(TrainingError, config, tones, tmp_path / "run", resume=True)
        assert "the recordings of augment.noise_files" in message and "choose another --out" in message


def test_noise_that_cannot_be_read_is_named_before_anything_is_written(tones, settings, tmp_path):
    (tmp_path / "noise.wav").write_bytes(b"RIFF")
    config = settings(augment={"noise": 1, "noise_files": str(tmp_path)})
    message = refused(AudioError, config, tones, tmp_path / "run")
    assert message.startswith("augment.noise_files: ") and "noise.wav" in message
    assert not (tmp_path / "run").exists()


def test_an_interrupted_run_says_how_to_go_on(tones, settings, tmp_path, monkeypatch, capsys):
    def interrupt(trainer, *arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "_step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(settings(), tones, tmp_path / "run")
    assert "stopped after step 0; run the same command with --resume to continue" in capsys.readouterr().err


def test_the_average_and_the_plateau_survive_an_interruption(tones, settings, tmp_path, monkeypatch):
    plateau = {"schedule": "plateau", "plateau_patience": 0, "epochs": 3}
    config = settings(train={"ema": 0.9, "accumulate": 2, "checkpoint_steps": 1, **plateau})
    train(config, tones, tmp_path / "whole")
    step = Trainer._step

    def interrupted(trainer, *arguments):
        if trainer.progress.step == 3:
            raise KeyboardInterrupt
        return step(trainer, *arguments)

    monkeypatch.setattr(Trainer, "_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(config, tones, tmp_path / "cut")
    monkeypatch.setattr(Trainer, "_step", step)
    train(config, tones, tmp_path / "cut", resume=True)
    assert_same_end(tmp_path / "whole", tmp_path / "cut")
    assert load_model(tmp_path / "whole").model_id == load_model(tmp_path / "cut").model_id
    rates = [r["lr"] for r in read_log(tmp_path / "cut" / "log.jsonl") if r["kind"] == "step"]
    assert rates == [r["lr"] for r in read_log(tmp_path / "whole" / "log.jsonl") if r["kind"] == "step"]


def test_two_processes_cannot_train_in_one_folder(run, tones, settings, monkeypatch):
    longer = settings(train={"epochs": 3})
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    monkeypatch.setattr(atomic, "_PATIENCE", 0.0)
    with claimed(run):
        assert "another process is using this folder" in refused(AsrError, longer, tones, run, resume=True)
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    train(longer, tones, run, resume=True)


def test_a_manifest_is_not_a_data_folder(tones, settings, tmp_path):
    assert "the folder of train.jsonl" in refused(ManifestError, settings(), tones / "train.jsonl", tmp_path / "run")


def test_a_damaged_checkpoint_costs_only_its_steps(finished, run, tones, settings, capsys):
    newest = checkpoints(run / "checkpoints")[0]
    newest.write_bytes(newest.read_bytes()[:-100])
    train(settings(), tones, run, resume=True)
    assert "damaged" in capsys.readouterr().err
    assert_same_end(finished, run)
    ours, theirs = (
        [(r["kind"], r["step"], r["loss"]) for r in read_log(path / "log.jsonl") if r["kind"] != "sitting"]
        for path in (run, finished)
    )
    assert ours == theirs


def test_no_such_device(settings, tones, tmp_path):
    message = refused(AsrError, settings(train={"device": "abacus"}), tones, tmp_path / "run")
    assert "abacus" in message
    assert not (tmp_path / "run").exists()


def test_start_from_a_model_lists_what_was_kept(finished, settings, tones, tmp_path, capsys):
    source = finished / "model.safetensors"
    config = settings(model={"dense_top": 8}, train={"init_from": str(source), "epochs": 1, "lr": 1e-8})
    train(config, tones, tmp_path / "run")
    err = capsys.readouterr().err
    assert f"tensors initialised from {source}" in err and "missing there, or of another size)" in err
    assert "5 new (of between.0, output" in err
    ours, theirs = weights(tmp_path / "run"), load_model(finished).model.state_dict()
    assert torch.equal(ours["mean"], theirs["mean"])
    assert torch.allclose(ours["layers.0.forwards.weight_hh_l0"], theirs["layers.0.forwards.weight_hh_l0"], atol=1e-4)


def test_start_from_another_front_end_measures_its_own_statistics(finished, settings, tones, tmp_path):
    config = settings(features={"mels": 20}, train={"init_from": str(finished), "epochs": 1})
    train(config, tones, tmp_path / "run")
    assert float(weights(tmp_path / "run")["mean"].max()) < -1


def test_start_from_other_features_of_the_same_shape_is_said(finished, settings, tones, tmp_path, capsys):
    config = settings(features={"high_hz": 3000}, train={"init_from": str(finished), "epochs": 1, "lr": 1e-8})
    train(config, tones, tmp_path / "run")
    assert "; its features had high_hz" in capsys.readouterr().err
    assert not torch.equal(weights(tmp_path / "run")["mean"], weights(finished)["mean"])


def test_a_run_that_started_from_a_model_goes_on_without_it(finished, settings, tones, tmp_path):
    """Only its start needs it; the checkpoint has it all."""
    source = tmp_path / "source.safetensors"
    shutil.copyfile(finished / "model.safetensors", source)
    config = settings(train={"init_from": str(source), "epochs": 1})
    train(config, tones, tmp_path / "run")
    source.unlink()
    longer = config.model_copy(update={"train": config.train.model_copy(update={"epochs": 5})})
    train(longer, tones, tmp_path / "run", resume=True)
    assert load_model(tmp_path / "run").training["started_from"] == load_model(finished).model_id


def test_start_from_nothing_usable(settings, tones, tmp_path):
    config = settings(train={"init_from": str(tmp_path / "none")})
    assert "none" in refused(AsrError, config, tones, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_alphabet_is_that_of_normalised_training_texts(settings):
    config = settings()
    _, tokenizer = text_tools(config, ["Ab, C!", "É"])
    assert tokenizer.tokens == ("<blank>", *" abcé")
    _, alone = text_tools(settings(augment={"join_seconds": 0}), ["ab", "c"])
    assert alone.tokens == ("<blank>", *"abc")
    _, joined = text_tools(settings(augment={"join_seconds": 5}), ["ab", "c"])
    assert joined.tokens == ("<blank>", *" abc")  # the space between joined texts


def test_a_model_file_can_be_saved_from_what_was_loaded(finished, tmp_path):
    content = load_model(finished)
    again = ModelFile(content.model, content.tokenizer, content.normalizer, content.training)
    assert save_model(tmp_path / "copy.safetensors", again) == content.model_id
