"""What a model remembers of its making: all that was heard, however the run went."""

import json
import shutil

import numpy as np
import pytest

from asr.audio import read_audio
from asr.data.dataset import SpeechData
from asr.data.fingerprints import from_json, known, make_print, speaker_hashes
from asr.data.manifest import read_dataset, read_manifest
from asr.errors import AudioError, TrainingError
from asr.model.file import load_model
from asr.text import Normalizer
from asr.train.group import Group
from asr.train.journal import read_log
from asr.train.remember import FILE, remember, take
from asr.train.run import train


@pytest.fixture(scope="module")
def finished(tones, settings, tmp_path_factory):
    """A run of one epoch."""
    out = tmp_path_factory.mktemp("remember") / "run"
    train(settings(train={"epochs": 1}), tones, out)
    return out


def prints(folder, name, rate=8000):
    chosen = read_manifest(folder / f"{name}.jsonl")
    return np.concatenate([make_print(item.id, read_audio(item.audio, rate), rate) for item in chosen])


def test_all_that_a_run_heard_is_in_its_model(finished, tones):
    heard = load_model(finished).heard
    assert heard == json.loads((finished / FILE).read_text(encoding="utf-8"))
    assert sorted(heard) == ["train", "valid"]
    dataset = read_dataset(tones).name
    for name in ("train", "valid"):
        recordings, speakers = from_json(heard[name])
        assert len(recordings) == len(read_manifest(tones / f"{name}.jsonl"))
        assert known(prints(tones, name), recordings).all()
        assert speakers == speaker_hashes(dataset, read_manifest(tones / f"{name}.jsonl"))


def test_it_can_be_left(tones, settings, tmp_path):
    train(settings(train={"epochs": 1, "remember": False}), tones, tmp_path / "run")
    assert load_model(tmp_path / "run").heard == {}
    assert not (tmp_path / "run" / FILE).exists()


def test_a_run_that_goes_on_takes_what_was_kept(finished, tones, settings, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    heard = json.loads((run / FILE).read_text(encoding="utf-8"))
    heard["train"]["speakers"] = heard["valid"]["speakers"]  # to be told from what would be made anew
    (run / FILE).write_text(json.dumps(heard), encoding="utf-8")
    train(settings(train={"epochs": 2}), tones, run, resume=True)
    assert json.loads((run / FILE).read_text(encoding="utf-8")) == heard
    (run / FILE).write_text("{", encoding="utf-8")
    with pytest.raises(TrainingError, match=rf"{FILE}: damaged"):
        train(settings(train={"epochs": 3}), tones, run, resume=True)
    (run / FILE).unlink()
    train(settings(train={"epochs": 3}), tones, run, resume=True)
    assert load_model(run).heard == heard  # by the model, from before the file was lost


def test_a_run_that_lost_what_it_kept_takes_what_its_model_remembers(finished, tones, corpus, settings, tmp_path):
    other = corpus(tmp_path / "other", [item.text[::-1] for item in read_manifest(tones / "train.jsonl")], ["ab"])
    run = tmp_path / "run"
    train(settings(train={"epochs": 1, "init_from": str(finished)}), other, run)
    before = load_model(run).heard
    (run / FILE).unlink()
    train(settings(train={"epochs": 2, "init_from": str(finished)}), other, run, resume=True)
    assert load_model(run).heard == before


@pytest.mark.parametrize("split", ["train", "valid"])
def test_what_cannot_be_read_is_said_before_the_first_step(corpus, settings, tmp_path, split):
    folder = corpus(tmp_path / "data", ["ab", "ba", "ca"], ["cd", "da"])
    (folder / "audio" / f"{split}-1.wav").write_bytes(b"RIFF")
    config = settings(batches={"cache_mb": 0, "unreadable": 0 if split == "train" else 1}, features={})
    with pytest.raises(AudioError, match=rf"{split}-1\.wav"):
        train(config, folder, tmp_path / "run")
    assert not read_log(tmp_path / "run" / "log.jsonl")


def test_a_start_from_another_model_has_heard_what_that_heard(finished, tones, corpus, settings, tmp_path):
    texts = [item.text[::-1] for item in read_manifest(tones / "train.jsonl")]
    other = corpus(tmp_path / "other", texts[2:], texts[:2])
    train(settings(train={"epochs": 1, "init_from": str(finished)}), other, tmp_path / "run")
    recordings, speakers = from_json(load_model(tmp_path / "run").heard["train"])
    before = load_model(finished).heard
    for name in ("train", "valid"):
        older, voices = from_json(before[name])
        assert known(older, recordings).all() and voices <= speakers
    assert known(prints(other, "train"), recordings).all()
    assert len(recordings) == len(texts[2:]) + sum(len(from_json(before[name])[0]) for name in before)


def test_what_an_earlier_try_left_is_not_taken_for_this_run(tones, settings, tmp_path):
    config, data = settings(), read_manifest(tones / "train.jsonl")
    speech = SpeechData(data, config, Normalizer.from_config(config.text), None)
    (tmp_path / FILE).write_text("{", encoding="utf-8")
    heard = remember(tmp_path, speech, speech, "tones", {}, Group())
    assert json.loads((tmp_path / FILE).read_text(encoding="utf-8")) == heard
    assert heard["train"] == heard["valid"]


def test_processes_share_the_work(tones, settings):
    config, data = settings(), read_manifest(tones / "train.jsonl")
    speech = SpeechData(data, config, Normalizer.from_config(config.text), None)

    class Alone(Group):
        """One of three, that waits for nobody."""

        def gather(self, mine):
            return mine

    shares = [take(speech, Alone(rank, 3)) for rank in range(3)]
    assert [len(share) for share in shares] == [4, 4, 4]
    whole = take(speech, Group())
    assert sorted(map(bytes, np.concatenate(shares))) == sorted(map(bytes, whole))
