"""The analysis of errors counts each word of the references once in each of its tables."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from asr.audio import write_wav
from asr.config import TextConfig
from asr.data.manifest import Utterance, write_manifest
from asr.text import Normalizer

spec = importlib.util.spec_from_file_location("errors", Path(__file__).parents[1] / "recipes" / "errors.py")
assert spec and spec.loader
errors = sys.modules["errors"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(errors)

TEXTS = {
    "a": ("two birds went a way", "too birds went away"),
    "b": ("the knight sat", "the sat"),
    "c": ("an extraordinary bird", "an extraordinaty bird song"),
}


@pytest.fixture
def page(tmp_path) -> str:
    lines = [{"split": "test", "id": id, "reference": said, "hypothesis": heard} for id, (said, heard) in TEXTS.items()]
    lines.append({"split": "valid", "id": "a", "reference": "not counted", "hypothesis": ""})
    (tmp_path / "hypotheses.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "report.json").write_text(json.dumps({"normalizer": Normalizer.from_config(TextConfig()).to_json()}))
    rng = np.random.default_rng(1)
    test = []
    for number, (id, (said, _)) in enumerate(TEXTS.items(), start=1):
        path = tmp_path / f"{id}.wav"
        write_wav(path, (0.1 * rng.standard_normal(16000 * number)).astype(np.float32), 16000)
        test.append(Utterance(id, str(path), said, float(number), "x" if id == "a" else "y"))
    write_manifest(tmp_path / "test.jsonl", test)
    texts = ["The bird, the bird; and too!", "too too away"]
    write_manifest(tmp_path / "train.jsonl", [Utterance(text, "x.wav", text, 1.0) for text in texts])
    return errors.analysis(tmp_path, tmp_path / "train.jsonl", tmp_path / "test.jsonl", None, "Errors")


def test_each_table_counts_every_word(page):
    # two -> too, "a way" -> "away" (one substituted, one lost), knight lost, extraordinary misspelt; "song" is too many
    assert "WER 54.55%" in page and "11 words, 5 of them wrong (substituted or deleted), 1 inserted" in page
    tables = page.split("\n\n")
    counted = [table for table in tables if table.splitlines()[-1].startswith("|") and "| words |" in table]
    assert len(counted) == 6
    for table in counted:
        rows = [row.split(" | ") for row in table.splitlines()[2:]]
        assert sum(int(row[1]) for row in rows) == 11 and sum(int(row[2]) for row in rows) == 5
    assert "| x | 5 | 3 | 60.0 % |" in page and "| y | 6 | 2 | 33.3 % |" in page
    assert "| 0 | 9 | 5 | 55.6 % |" in page and "| 1 to 2 | 2 | 1 | 50.0 % |" in page


def test_a_result_without_errors_has_a_page(tmp_path, page):
    lines = [{"split": "test", "id": id, "reference": said, "hypothesis": said} for id, (said, _) in TEXTS.items()]
    (tmp_path / "hypotheses.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    page = errors.analysis(tmp_path, tmp_path / "train.jsonl", tmp_path / "test.jsonl", None, "Errors")
    assert (
        "11 words, 0 of them wrong" in page and "No word was substituted." in page and "Most frequent: nothing." in page
    )


@pytest.mark.parametrize(
    ("split", "id", "said"), [("valid", "a", "no utterance with words"), ("test", "z", "another test set")]
)
def test_a_result_of_other_recordings_is_refused(tmp_path, page, split, id, said):
    line = {"split": split, "id": id, "reference": "two birds", "hypothesis": "two"}
    (tmp_path / "hypotheses.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(SystemExit, match=said):
        errors.analysis(tmp_path, tmp_path / "train.jsonl", tmp_path / "test.jsonl", None, "Errors")


def test_kinds_of_errors(page):
    pytest.importorskip("espeakng_loader")
    assert "| homophone (in espeak-ng's American English) | 1 |" in page
    assert "| edit distance of 1 letter | 2 |" in page
    assert "Only the word boundaries wrong (1): *away* for *a way*." in page
    assert "*knight* → nothing (1)" in page


def test_a_missing_language_model_is_said_in_a_line(tmp_path, page, monkeypatch, capsys):
    manifests = ["--train", str(tmp_path / "train.jsonl"), "--test", str(tmp_path / "test.jsonl")]
    monkeypatch.setattr(sys, "argv", ["errors.py", str(tmp_path), *manifests, "--lm", "words.lm"])
    with pytest.raises(SystemExit):
        errors.main()
    assert capsys.readouterr().err.endswith("error: argument --lm: no file words.lm\n")
