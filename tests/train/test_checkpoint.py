"""Checkpoints: the whole state, the last two, and a way back where the newest is damaged."""

import dataclasses
import pickle
import random
from pathlib import Path

import pytest
import torch
from torch import nn

from asr.errors import TrainingError
from asr.train.checkpoint import Progress, checkpoints, load_checkpoint, save_checkpoint


def make(steps: int = 2) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A small model after some steps of AdamW."""
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.randn(4, 3)).square().sum().backward()
        optimizer.step()
    return model, optimizer


def save(folder: Path, *steps: int) -> None:
    for step in steps:
        save_checkpoint(folder, Progress(step=step), *make(), average=None, run_id="d")


def newest(folder: Path) -> tuple[int | None, list[str]]:
    """The step of the state that is loaded, and what is said of damaged files."""
    state, damaged = load_checkpoint(folder)
    return (state["progress"]["step"] if state else None), damaged


def test_the_state_comes_back_whole(tmp_path):
    model, optimizer = make()
    progress = Progress(epoch=3, epoch_step=2, step=17, loss=1.5, best_epoch=1, best_cer=0.25, seconds=9.5)
    save_checkpoint(tmp_path, progress, model, optimizer, {"steps": 4}, "abc")
    state, damaged = load_checkpoint(tmp_path)
    assert damaged == []
    assert (Progress(**state["progress"]), state["average"], state["run_id"]) == (progress, {"steps": 4}, "abc")

    again, other = make(steps=0)
    again.load_state_dict(state["model"])
    other.load_state_dict(state["optimizer"])
    for one, two in ((model, optimizer), (again, other)):  # the next step is the same
        torch.manual_seed(5)
        two.zero_grad()
        one(torch.randn(4, 3)).sum().backward()
        two.step()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_a_progress_starts_at_nothing():
    assert dataclasses.asdict(Progress()) == {
        "epoch": 0, "epoch_step": 0, "step": 0, "loss": 0.0, "best_epoch": -1, "best_cer": float("inf"),
        "average_cer": float("inf"), "stale": 0, "drops": 0, "seconds": 0.0, "started_from": "",
        "unreadable": [], "epochs": 0,
    }  # fmt: skip


def test_the_last_two_are_kept(tmp_path):
    save(tmp_path, 8, 9, 10, 100)
    assert [path.name for path in checkpoints(tmp_path)] == ["step-00000100.pt", "step-00000010.pt"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000010.pt", "step-00000100.pt"]
    assert newest(tmp_path) == (100, [])


def test_no_checkpoint_is_no_error(tmp_path):
    assert load_checkpoint(tmp_path) == (None, [])
    assert load_checkpoint(tmp_path / "nowhere") == (None, [])


@pytest.mark.parametrize("left", [0.0, 0.001, 0.3, 0.6, 0.9, 0.999])
def test_a_truncated_one_falls_back_to_the_one_before(tmp_path, left):
    save(tmp_path, 1, 2)
    path = checkpoints(tmp_path)[0]
    content = path.read_bytes()
    path.write_bytes(content[: int(left * len(content))])
    step, damaged = newest(tmp_path)
    assert step == 1
    assert len(damaged) == 1 and str(path) in damaged[0] and "\n" not in damaged[0]


def test_damage_anywhere_in_the_weights_is_noticed(tmp_path):
    save(tmp_path, 1, 2)
    path = checkpoints(tmp_path)[0]
    content = bytearray(path.read_bytes())
    weight = bytes(make()[0].weight.detach().numpy().tobytes())
    content[content.index(weight) + 3] ^= 0x20
    path.write_bytes(content)
    assert newest(tmp_path)[0] == 1


def test_all_damaged_is_an_error(tmp_path):
    """Not a start from nothing, which would replace what the run has come to."""
    save(tmp_path, 1, 2)
    for path in checkpoints(tmp_path):
        path.write_bytes(b"nonsense")
    with pytest.raises(TrainingError, match=r"all checkpoints are damaged \(step-00000002.pt, step-00000001.pt\)"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("where", "error"),
    [
        ("read_bytes", PermissionError(13, "Permission denied")),
        ("read_bytes", OSError(5, "Input/output error")),
        ("read_bytes", MemoryError()),
        ("load", RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory")),
    ],
)
def test_what_cannot_be_read_just_now_is_not_damaged(tmp_path, monkeypatch, where, error):
    """Going back before it, the next checkpoint would take its place."""
    save(tmp_path, 1, 2)

    def fail(*_, **__) -> None:
        raise error

    monkeypatch.setattr(Path if where == "read_bytes" else torch, where, fail)
    with pytest.raises(type(error)):
        load_checkpoint(tmp_path)


def test_a_bit_flipped_anywhere_changes_nothing_or_is_noticed(tmp_path):
    """In tensors, in what describes them, and in the archive's own tables."""
    save(tmp_path, 1, 2)
    newer = checkpoints(tmp_path)[0]
    good, content = load_checkpoint(tmp_path)[0], newer.read_bytes()
    rng = random.Random(0)
    for place in range(0, len(content), 11):
        damaged = bytearray(content)
        damaged[place] ^= 1 << rng.randrange(8)
        newer.write_bytes(damaged)
        state, lines = load_checkpoint(tmp_path)
        assert state["progress"]["step"] == (1 if lines else 2)
        if not lines:
            assert repr(state) == repr(good)


def test_a_checkpoint_runs_no_code(tmp_path):
    class Payload:
        def __reduce__(self):
            return Path.touch, (tmp_path / "executed",)

    save(tmp_path, 1)
    torch.save({"progress": Payload()}, tmp_path / "step-00000002.pt")
    (tmp_path / "step-00000003.pt").write_bytes(pickle.dumps(Payload()))
    step, damaged = newest(tmp_path)
    assert step == 1
    assert len(damaged) == 2
    assert not (tmp_path / "executed").exists()


def test_a_crash_while_writing_leaves_those_before(tmp_path, monkeypatch):
    save(tmp_path, 1, 2)

    def crash(path: Path, content: bytes) -> None:
        with path.open("wb") as file:
            file.write(content[:1000])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", crash)
    with pytest.raises(KeyboardInterrupt):
        save(tmp_path, 3)
    assert newest(tmp_path) == (2, [])
    assert len(list(tmp_path.iterdir())) == 2


def test_later_ones_that_are_damaged_do_not_push_out_the_new(tmp_path):
    save(tmp_path, 8, 9)
    for path in checkpoints(tmp_path):
        path.write_bytes(b"nonsense")
    save(tmp_path, 3)
    assert newest(tmp_path) == (3, [])
