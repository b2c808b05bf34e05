"""What TensorBoard reads of a run."""

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from asr.train.board import Board


def test_tensorboard_reads_the_figures(tmp_path):
    board = Board(tmp_path / "tensorboard", 0)
    for step in (1, 2, 3):
        board.add(step, {"step/loss": 1 / step, "step/lr": 0.5})
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()  # while it is still open
    board.close()
    assert events.Tags()["scalars"] == ["step/loss", "step/lr"]
    assert [(event.step, event.value) for event in events.Scalars("step/loss")] == [
        (1, 1.0),
        (2, 0.5),
        (3, pytest.approx(1 / 3)),
    ]


def test_what_a_resumed_run_repeats_is_shown_once(tmp_path):
    for start, steps in ((0, (1, 2, 3)), (1, (2,))):
        board = Board(tmp_path, start)
        for step in steps:
            board.add(step, {"loss": float(step + start)})
        board.close()
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(1, 1.0), (2, 3.0)]
