"""What a report says about the training of its model."""

import json

from asr.evaluate.history import history
from asr.evaluate.markdown import trained

SITTING = {
    "kind": "sitting",
    "step": 0,
    "command": "asr train own --data d --out r",
    "program": {"version": "1", "commit": None},
    "processor": "a chip",
    "device": "cpu",
    "processes": 1,
    "threads": 2,
}


def log(folder, *records):
    (folder / "log.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def epoch(number: int, seconds: float) -> dict:
    return {"kind": "epoch", "step": 10 * number, "epoch": number, "seconds": seconds}


def test_the_last_epoch_says_how_long_it_took(tmp_path):
    log(
        tmp_path, SITTING, epoch(1, 50.0), SITTING | {"step": 10}, SITTING | {"step": 10, "threads": 1}, epoch(2, 90.06)
    )
    found = history(tmp_path)
    assert (found["seconds"], found["epochs"], found["steps"]) == (90.1, 2, 20)
    assert [one["threads"] for one in found["sittings"]] == [2, 1]  # alike but for where it went on: once
    assert trained(found) == (
        "trained in 1.5 min (epochs: 2, steps: 20) on a chip (cpu; processes: 1, threads per process: 1), "
        "and on a chip (cpu; processes: 1, threads per process: 2)"
    )


def test_a_log_of_before_sittings_were_kept_says_how_long_all_the_same(tmp_path):
    log(tmp_path, epoch(3, 7200.0))
    assert trained(history(tmp_path)) == "trained in 2.00 h (epochs: 3, steps: 30)"


def test_a_model_outside_a_run_folder_has_no_history(tmp_path):
    assert history(tmp_path) is None
    log(tmp_path, SITTING)
    assert history(tmp_path) is None


def test_a_sitting_has_its_precision_where_the_log_says_it(tmp_path):
    log(tmp_path, SITTING | {"precision": "bfloat16"}, epoch(1, 60.0))
    assert trained(history(tmp_path)).endswith("on a chip (cpu; processes: 1, threads per process: 2; bfloat16)")
