"""`asr tune`: what it writes, what it keeps in the model file, and what it refuses to tune on."""

import csv
import json
import shutil

import numpy as np
import pytest
import torch

from asr.audio import read_audio, write_wav
from asr.data.fingerprints import make_print, to_json
from asr.data.manifest import Dataset, Utterance, write_dataset, write_manifest
from asr.evaluate.tune import Point, Tuner
from asr.model.file import load_model, save_model

LM = """\\data\\
ngram 1=6
ngram 2=2

\\1-grams:
-99\t<s>\t-0.3
-1.0\t</s>
-3.0\t<unk>
-0.5\t{0}\t-0.2
-0.9\t{1}
-1.1\tzz

\\2-grams:
-0.2\t<s> {0}
-0.4\t{0} {1}

\\end\\
"""


@pytest.fixture
def run(tmp_path, tiny_model):
    shutil.copytree(tiny_model, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def data(tmp_path, babble, run, run_asr):
    """Recordings whose texts are half of what the untrained model hears, so that there is something to be right on."""
    folder = tmp_path / "data"
    folder.mkdir()
    heard = []
    for number in range(4):
        file = folder / f"{number}.wav"
        write_wav(file, babble(1.0 + number / 2, seed=number), 8000)
        heard.append(run_asr("transcribe", run, file)[1].split())
    texts = [" ".join([*words[: len(words) // 2], "zz"]) for words in heard]
    items = [Utterance(f"valid{n}", str(folder / f"{n}.wav"), text, 1 + n / 2) for n, text in enumerate(texts)]
    write_manifest(folder / "valid.jsonl", items)
    write_wav(folder / "other.wav", babble(1.0, seed=9), 8000)
    write_manifest(folder / "test.jsonl", [Utterance("other", str(folder / "other.wav"), "zz", 1.0)])
    write_dataset(folder, Dataset("babble"))
    known = [word for words in heard for word in words]
    (folder / "lm.arpa").write_text(LM.format(known[0], next(word for word in known if word != known[0])))
    return folder


def test_keeps_what_it_found(run_asr, run, data):
    before = load_model(run)
    status, out, _ = run_asr("tune", run, data / "valid.jsonl", "--lm", data / "lm.arpa", "--beam", "8")
    assert status == 0
    assert "best: --lm-weight" in out and "cannot tell them apart" not in out
    after = load_model(run)
    assert after.model_id == before.model_id
    with (run / "tune/surface.csv").open() as file:
        rows = list(csv.DictReader(file))
    best = min(int(row["errors"]) for row in rows if int(row["beam"]) == 8)
    kept = after.decoding
    chosen = [
        row
        for row in rows
        if (float(row["lm_weight"]), float(row["word_bonus"])) == (kept["lm_weight"], kept["word_bonus"])
    ]
    assert min(int(row["errors"]) for row in chosen) == best
    assert (run / "tune/surface.png").stat().st_size > 5000

    assert f"tuned with:   language model lm.arpa ({kept['lm']}), no lexicon: " in run_asr("info", run)[1]

    again = run_asr("tune", run, data / "valid.jsonl", "--lm", data / "lm.arpa", "--beam", "8")
    assert again[1].splitlines()[-2:] == out.splitlines()[-2:]  # from cached log-probabilities, the same

    status, _, err = run_asr("evaluate", run, data / "valid.jsonl", "--lm", data / "lm.arpa", "--out", data / "report")
    assert (status, "another language model" in err) == (0, False)
    (data / "words").write_text("abc\n")
    command = ("transcribe", run, data / "0.wav", "--lm", data / "lm.arpa", "--lexicon", data / "words")
    assert "tuned with no lexicon" in run_asr(*command).err
    report = json.loads((data / "report/report.json").read_text())
    assert report["decoding"]["lm_weight"] == kept["lm_weight"]
    assert report["splits"]["valid"]["wer"] == pytest.approx(kept["wer"])


def test_a_better_model_that_came_meanwhile_is_not_replaced(run_asr, run, data, monkeypatch):
    better = load_model(run)
    with torch.no_grad():
        better.model.output.bias += 1

    def search(tuner: Tuner, beam: int) -> Point:
        save_model(run / "model.safetensors", better)
        return tuner.try_point(0.5, 0.0, beam)

    monkeypatch.setattr(Tuner, "search", search)
    status, _, err = run_asr("tune", run, data / "valid.jsonl", "--lm", data / "lm.arpa", "--beam", "2")
    assert status == 2 and "another model than at the start" in err
    found = load_model(run)
    assert found.decoding == {} and torch.equal(found.model.output.bias, better.model.output.bias)


def test_tuning_on_what_was_learnt_from_is_told(run_asr, run, data):
    model = load_model(run)
    rate = 8000
    prints = [make_print(f"valid{n}", read_audio(data / f"{n}.wav", rate), rate) for n in range(2)]
    model.heard = {"train": to_json(np.concatenate(prints), set())}
    save_model(run / "model.safetensors", model)
    _, out, _ = run_asr("tune", run, data / "valid.jsonl", "--lm", data / "lm.arpa", "--beam", "2")
    assert "2 of 4 utterances were seen in training" in out
    assert set(load_model(run).heard) == {"train", "tune"}


def test_a_test_set_is_refused_unless_told_twice(run_asr, run, data):
    shutil.move(data / "valid.jsonl", data / "test.jsonl")
    command = ("tune", run, data / "test.jsonl", "--lm", data / "lm.arpa", "--beam", "2")
    for given in ((), ("--on-test-set",)):
        status, _, err = run_asr(*command, *given)
        assert status == 2 and "test set" in err
    assert run_asr(*command, "--on-test-set", "--on-test-set")[0] == 0


def test_a_validation_set_with_the_test_sets_recordings_is_refused(run_asr, run, data):
    shutil.copy(data / "valid.jsonl", data / "test.jsonl")
    status, _, err = run_asr("tune", run, data / "valid.jsonl", "--lm", data / "lm.arpa")
    assert status == 2 and "test set" in err


def test_what_cannot_be_tuned_is_refused(run_asr, run, data):
    (data / "broken.arpa").write_text("\\data\\\nngram 1=3\n")
    status, _, err = run_asr("tune", run, data / "valid.jsonl", "--lm", data / "broken.arpa")
    assert status == 2 and "broken.arpa" in err and err.count("\n") == 1
    write_manifest(data / "mute.jsonl", [Utterance("mute", str(data / "0.wav"), "", 1.0)])
    status, _, err = run_asr("tune", run, data / "mute.jsonl", "--lm", data / "lm.arpa")
    assert status == 2 and "no words" in err
    assert load_model(run).decoding == {}


def test_a_validation_set_that_tells_no_settings_apart_is_said(run_asr, run, data, monkeypatch):
    decode = Tuner.decode
    monkeypatch.setattr(Tuner, "decode", lambda tuner, *settings, nbest=1: decode(tuner, 0.0, 0.0, 2))
    status, out, _ = run_asr("tune", run, data / "valid.jsonl", "--lm", data / "lm.arpa", "--beam", "2")
    assert status == 0
    assert "all settings made the same errors: 4 utterances cannot tell them apart" in out
