"""The commands of a recipe a second time, when its report is there already: what is made stays as it is."""

import json
from pathlib import Path

import pytest
import soundfile


@pytest.fixture
def recipe(run_asr, babble, tiny, tmp_path):
    """A function that runs what recipes/own/run.sh does, with options for the preparation."""
    for number in range(8):
        path = tmp_path / "recordings" / f"speaker{number}" / "a.wav"
        path.parent.mkdir(parents=True)
        soundfile.write(path, babble(1.0 + number / 10, seed=number), 8000)
        path.with_suffix(".txt").write_text("abc abc"[number % 3 :])
    data, model = tmp_path / "data", tmp_path / "run"

    def run(*options: str):
        prepared = run_asr("prepare", "own", "--source", tmp_path / "recordings", "--out", data, *options)
        if prepared.status:
            return prepared
        trained = run_asr("train", "own", *tiny, "--data", data, "--out", model, "--resume")
        return (
            trained if trained.status else run_asr("evaluate", model, data / "test.jsonl", "--out", tmp_path / "report")
        )

    return run


def made(folder: Path) -> dict[str, bytes]:
    """What must not change: manifests, checkpoints, model, log, hypotheses."""
    files = [path for path in folder.rglob("*") if path.suffix in (".jsonl", ".yaml", ".safetensors", ".pt")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_it_goes_on_and_ends_with_the_same_report(recipe, tmp_path):
    assert recipe("--speaker-from", "folder").status == 0
    before, report = made(tmp_path), tmp_path / "report" / "report.json"
    assert {"data/test.jsonl", "run/model.safetensors", "run/log.jsonl", "report/hypotheses.jsonl"} <= before.keys()
    wer = json.loads(report.read_text())["splits"]["test"]["wer"]
    report.unlink()
    assert recipe("--speaker-from", "folder").status == 0
    assert made(tmp_path) == before
    assert json.loads(report.read_text())["splits"]["test"]["wer"] == wer


def test_another_division_stops_it_before_the_model_is_measured(recipe, tmp_path):
    assert recipe("--speaker-from", "folder").status == 0
    before = made(tmp_path)
    refused = recipe()
    assert (
        refused.status == 2
        and "is in two splits of the earlier division" in refused.err
        and "the same options" in refused.err
    )
    assert made(tmp_path) == before
    told = recipe("--overwrite")  # then the training refuses
    assert told.status == 2 and "not the training and validation sets" in told.err
