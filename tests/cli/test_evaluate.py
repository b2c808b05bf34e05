"""`asr evaluate`: report files, output and exit status, on a model that was never trained."""

import json

import pytest

from asr.audio import write_wav
from asr.cli import progress
from asr.data.manifest import Dataset, Utterance, write_dataset, write_manifest


@pytest.fixture
def splits(tmp_path, babble):
    for split in ("valid", "test"):
        utterances = []
        for number in range(3):
            file = tmp_path / f"{split}{number}.wav"
            write_wav(file, babble(0.5 + number, seed=number + 10 * len(split)), 8000)
            text = f"{split} number {number}"
            utterances.append(Utterance(f"{split}{number}", str(file), text, 0.5 + number, f"{split} speaker"))
        write_manifest(tmp_path / f"{split}.jsonl", utterances)
    write_dataset(tmp_path, Dataset("babble"))
    return tmp_path


def test_writes_a_report_of_every_split(run_asr, tiny_model, splits, monkeypatch):
    monkeypatch.setattr(progress, "_SECONDS", 0.0)
    status, out, err = run_asr(
        "evaluate", tiny_model, f"v={splits}/valid.jsonl", splits / "test.jsonl", "--out", splits / "report"
    )
    assert status == 0
    lines = out.splitlines()
    assert lines[0].startswith("v: %WER ") and lines[1].startswith("test: %WER ")
    assert lines[2] == f"report: {splits / 'report' / 'report.md'}"
    assert lines[3] == f"page:   {splits / 'report' / 'report.html'}"
    assert "v: 100 %" in err  # progress as plain lines where there is no terminal
    report = json.loads((splits / "report/report.json").read_text(encoding="utf-8"))
    assert list(report["splits"]) == ["v", "test"]
    assert report["splits"]["test"]["audio_seconds"] == pytest.approx(4.5)
    assert report["command"].startswith("asr evaluate ")


def test_pitfall_batch_size_does_not_change_the_report(run_asr, tiny_model, splits):
    contents = []
    for frames in (1, 24_000):
        arguments = (splits / "test.jsonl", "--out", splits / "report", "--batch-frames", frames)
        assert run_asr("evaluate", tiny_model, *arguments).status == 0
        contents.append((splits / "report/hypotheses.jsonl").read_text(encoding="utf-8"))
    assert contents[0] == contents[1]


def test_examples_on_the_page_are_as_many_as_asked_for(run_asr, tiny_model, splits):
    arguments = (splits / "test.jsonl", "--out", splits / "report", "--examples")
    for count, expected in ((0, 0), (2, 2), (30, 3)):
        assert run_asr("evaluate", tiny_model, *arguments, count).status == 0
        page = (splits / "report/report.html").read_text(encoding="utf-8")
        assert page.count('"sound":') == expected


def test_unreadable_utterance_is_exit_1(run_asr, tiny_model, splits):
    (splits / "test1.wav").unlink()
    status, out, err = run_asr("evaluate", tiny_model, splits / "test.jsonl", "--out", splits / "report")
    assert status == 1
    assert "asr: test: test1: " in err
    assert " / 9," in out  # its three words count


@pytest.mark.parametrize(
    ("manifests", "message"),
    [
        (["{}/test.jsonl", "test={}/valid.jsonl"], "both called test"),
        (["{}/none.jsonl"], "no such file"),
        (["{}/test.jsonl", "other={}/test.jsonl"], "share 3 utterance ids"),
    ],
)
def test_a_wrong_request_is_exit_2(run_asr, tiny_model, splits, manifests, message):
    filled = [manifest.format(splits) for manifest in manifests]
    status, out, err = run_asr("evaluate", tiny_model, *filled, "--out", splits / "report")
    assert (status, out) == (2, "")
    assert message in err and err.count("\n") == 1
    assert not (splits / "report").exists()


def test_out_is_needed(run_asr, tiny_model, splits):
    status, _, err = run_asr("evaluate", tiny_model, splits / "test.jsonl")
    assert status == 2 and "--out" in err
