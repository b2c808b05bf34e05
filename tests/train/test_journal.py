"""The log: what is written, read back, cut at a checkpoint, and drawn."""

import json
from pathlib import Path

import pytest

from asr.train.curves import draw_curves
from asr.train.journal import Journal, read_log

EPOCH = {
    "seconds": 3.0,
    "loss": 1.25,
    "wer": 0.5,
    "cer": 0.25,
    "blank": 0.9,
    "reference": "été",
    "hypothesis": "ete",
    "best": True,
}


def log_steps(folder: Path, start: int, numbers: range) -> None:
    """A sitting that goes on from a step; after every second step an epoch ends."""
    with Journal(folder, start) as journal:
        for step in numbers:
            figures = {"step": step, "epoch": step // 2, "loss": 1.0 / (step + 1), "lr": 1e-3, "gradient": 2.0}
            journal.step(figures | {"audio_per_second": 100.0, "seconds": 1.0}, done=step / 10, left=5.0)
            if step % 2 == 1:
                journal.epoch(EPOCH | {"step": step, "epoch": step // 2})


def test_what_is_logged_is_read_back(tmp_path):
    log_steps(tmp_path, 0, range(1, 4))
    records = read_log(tmp_path / "log.jsonl")
    assert [(record["kind"], record["step"]) for record in records] == [
        ("step", 1),
        ("epoch", 1),
        ("step", 2),
        ("step", 3),
        ("epoch", 3),
    ]
    assert records[1] == {"kind": "epoch", "step": 1, "epoch": 0} | EPOCH
    assert list((tmp_path / "tensorboard").iterdir())
    assert read_log(tmp_path / "nothing.jsonl") == []


def test_what_computes_is_logged_with_the_first_step_of_a_sitting(tmp_path):
    """And not before: a run that failed until then is not begun, and can be started anew without --resume."""
    for start in (0, 1):
        with Journal(tmp_path, start) as journal:
            journal.sitting({"step": start, "processor": f"chip {start}"})
            assert len(read_log(tmp_path / "log.jsonl")) == 2 * start
            journal.step({"step": start + 1, "epoch": 0, "loss": 1.0, "audio_per_second": 1.0}, 0.1, 5.0)
    records = read_log(tmp_path / "log.jsonl")
    assert [(record["kind"], record["step"]) for record in records] == [
        ("sitting", 0),
        ("step", 1),
        ("sitting", 1),
        ("step", 2),
    ]
    assert [record["processor"] for record in records[::2]] == ["chip 0", "chip 1"]


def test_an_average_is_logged_and_said(tmp_path, capsys):
    figures = {key: EPOCH[key] for key in ("wer", "cer", "blank", "reference", "hypothesis")}
    with Journal(tmp_path, 0) as journal:
        journal.average(figures | {"step": 9, "epochs": [2, 3], "kept": False})
    (found,) = read_log(tmp_path / "log.jsonl")
    assert found == figures | {"kind": "average", "step": 9, "epochs": [2, 3], "kept": False}
    said = capsys.readouterr().err
    assert "epochs 2, 3: validation WER 50.00 %, CER 25.00 %, blank 90 %; worse" in said


def test_a_line_is_on_disk_as_soon_as_it_is_logged(tmp_path):
    """So that whoever watches a run, or looks at it after a crash, sees its last step."""
    with Journal(tmp_path, 0) as journal:
        journal.step({"step": 1, "epoch": 0, "loss": 1.0, "audio_per_second": 1.0}, 0.1, 5.0)
        assert len(read_log(tmp_path / "log.jsonl")) == 1


def test_lines_after_the_checkpoint_are_cut(tmp_path):
    log_steps(tmp_path, 0, range(1, 8))
    log_steps(tmp_path, 4, range(5, 7))
    steps = [record["step"] for record in read_log(tmp_path / "log.jsonl") if record["kind"] == "step"]
    assert steps == [1, 2, 3, 4, 5, 6]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.jsonl", "tensorboard"]


def test_a_sitting_of_which_no_step_is_left_is_cut_too(tmp_path):
    for number, (step, steps) in enumerate([(0, range(1, 3)), (0, range(1, 5)), (4, range(5, 6)), (4, range(5, 7))]):
        with Journal(tmp_path, step) as journal:
            journal.sitting({"step": step, "number": number})
            for one in steps:
                journal.step({"step": one, "epoch": 1, "loss": 1.0, "audio_per_second": 1.0}, 0.5, 1.0)
    sittings = [record for record in read_log(tmp_path / "log.jsonl") if record["kind"] == "sitting"]
    assert [record["number"] for record in sittings] == [1, 3]


def test_a_new_run_starts_with_an_empty_log(tmp_path):
    log_steps(tmp_path, 0, range(1, 3))
    log_steps(tmp_path, 0, range(1, 2))
    assert [record["step"] for record in read_log(tmp_path / "log.jsonl")] == [1, 1]


@pytest.mark.parametrize("cut", [1, 10, 40])
def test_a_last_line_cut_short_is_passed_over(tmp_path, cut):
    """At any byte, also in the middle of a character."""
    log_steps(tmp_path, 0, range(1, 2))
    path = tmp_path / "log.jsonl"
    content = path.read_bytes()
    path.write_bytes(content[: content.index("é".encode()) + 1] if cut == 1 else content[:-cut])
    assert [record["kind"] for record in read_log(path)] == ["step"]
    log_steps(tmp_path, 1, range(2, 3))
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2]


@pytest.mark.parametrize("line", [b"5", b"{}", b'{"step"', b"\xff\xfe", b'[{"step": 1}]'])
def test_a_damaged_line_costs_no_other(tmp_path, line):
    log_steps(tmp_path, 0, range(1, 4))
    path = tmp_path / "log.jsonl"
    first, *rest = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([first, line, *rest, b""]))
    assert [record["step"] for record in read_log(path) if record["kind"] == "step"] == [1, 2, 3]
    before = len(read_log(path))
    log_steps(tmp_path, 3, range(4, 5))
    assert [json.loads(line) for line in path.read_bytes().splitlines()] == read_log(path)
    assert len(read_log(path)) > before


def test_plain_lines_tell_of_an_epoch(tmp_path, capsys):
    with Journal(tmp_path, 0) as journal:
        journal.say("[bold]not markup[/bold]")
        journal.epoch(EPOCH | {"step": 1, "epoch": 0, "seconds": 3723.4})
    out, err = capsys.readouterr()
    assert out == ""
    assert "[bold]not markup[/bold]" in err
    assert "WER 50.00 %" in err and "CER 25.00 %" in err and "1:02:03" in err and "best so far" in err
    assert "reference:  été" in err and "hypothesis: ete" in err


def test_curves_are_drawn(tmp_path):
    log_steps(tmp_path, 0, range(1, 8))
    path = draw_curves(tmp_path)
    assert path == tmp_path / "curves.png"
    assert path.read_bytes().startswith(b"\x89PNG")
    assert path.stat().st_size > 5000


def test_curves_of_a_run_without_an_epoch_are_drawn(tmp_path):
    log_steps(tmp_path, 0, range(0))
    assert draw_curves(tmp_path).exists()
