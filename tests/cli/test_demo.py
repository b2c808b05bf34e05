"""The whole path through the command line, on a corpus of a few synthetic voices."""

import json
from functools import partial
from pathlib import Path

import pytest

from asr.cli import progress
from asr.corpora import digits
from asr.data.manifest import read_manifest

pytest.importorskip("espeakng_loader")

FEW = {"voices": {"train": 3, "valid": 1, "test": 2}, "utterances": 4, "sample_rate": 8000, "workers": 2}
TINY = (
    "features.sample_rate=8000",
    "features.mels=20",
    "model.subsample=[{channels: 16, kernel: 5, stride: 3}]",
    "model.layers=1",
    "model.hidden=12",
    "train.epochs=2",
    "train.threads=1",
    "train.bf16=off",
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("digits")
    digits.prepare(out, **FEW)
    return out


def test_train_evaluate_transcribe_info(corpus, run_asr, tmp_path):
    run, report = tmp_path / "run", tmp_path / "report"
    assert run_asr("check", *(corpus / f"{split}.jsonl" for split in ("train", "valid", "test"))).status == 0
    assert run_asr("train", "digits", *TINY, "--data", corpus, "--out", run).status == 0

    splits = [f"{name}={corpus / name}.jsonl" for name in ("valid", "test")]
    evaluated = run_asr("evaluate", run, *splits, "--out", report)
    assert evaluated.status == 0
    content = json.loads((report / "report.json").read_text())
    assert {name: split["utterances"] for name, split in content["splits"].items()} == {"valid": 4, "test": 8}
    assert content["splits"]["test"]["words"] == sum(len(u.text.split()) for u in read_manifest(corpus / "test.jsonl"))

    audio = [utterance.audio for utterance in read_manifest(corpus / "test.jsonl")][:2]
    transcribed = run_asr("transcribe", run, *audio)
    assert transcribed.status == 0
    lines = [json.loads(line) for line in (report / "hypotheses.jsonl").read_text().splitlines()]
    heard = {line["id"]: line["hypothesis"] for line in lines}
    expected = [f"{path}\t{heard[Path(path).stem]}" for path in audio]
    assert transcribed.out.splitlines() == expected  # alone or in a batch, the same

    info = run_asr("info", run)
    assert info.status == 0
    assert content["model_id"] in info.out
    assert "12 utterances" in info.out and "8000 Hz" in info.out


def test_the_demo_goes_from_nothing_to_a_report(run_asr, monkeypatch, tmp_path):
    monkeypatch.setattr(digits, "prepare", partial(digits.prepare, **FEW))
    monkeypatch.setattr(progress, "_SECONDS", 0.0)
    result = run_asr("demo", *TINY, "--out", tmp_path / "demo")
    assert result.status == 0
    for path in (
        "data/test.jsonl",
        "run/model.safetensors",
        "run/curves.png",
        "report/report.md",
        "report/report.html",
    ):
        assert (tmp_path / "demo" / path).is_file()
    assert "hypothesis:" in result.out and "WER" in result.out
    assert result.err.count("voices: 100 %\n") == 1
    assert f"next:   asr transcribe {tmp_path / 'demo' / 'run'}" in result.out
    report = json.loads((tmp_path / "demo" / "report" / "report.json").read_text())
    assert list(report["splits"]) == ["train", "valid", "test"]
    assert report["command"].startswith("asr demo")

    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as during:
        during.setattr("asr.demo.evaluate", interrupted)
        stopped = run_asr("demo", *TINY, "--out", tmp_path / "demo")
    assert stopped.status == 130 and "again to resume" in stopped.err

    again = run_asr("demo", *TINY, "--out", tmp_path / "demo")  # an interrupted one goes on, a finished one is shown
    assert again.status == 0
    assert json.loads((tmp_path / "demo" / "report" / "report.json").read_text())["model_id"] == report["model_id"]
