"""Several processes under torchrun: the same training as one, also where one of them dies."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from asr.config_file import load_config
from asr.errors import TrainingError
from asr.train.checkpoint import load_checkpoint
from asr.train.group import Group
from asr.train.journal import read_log
from asr.train.run import train

# Single utterances, so that an epoch is several steps of four batches and its last step has fewer than processes.
SETTINGS = (
    "train.accumulate=4",
    "batches.max_utterances=1",
    "train.epochs=2",
    "train.checkpoint_steps=2",
    "train.average=last",
    "train.average_epochs=2",
    "model.layers=2",
    "train.intermediate=[0]",
)

# The program under torchrun; in the process and the step that are named it dies, once.
PROGRAM = """
import os, pathlib, signal, sys
from asr.train.loop import Trainer
step, marker = Trainer._step, pathlib.Path(sys.argv.pop(1))
def dying(trainer, *arguments):
    if trainer.progress.step == 3 and trainer.group.rank == 1 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return step(trainer, *arguments)
Trainer._step = dying
from asr.cli.main import main
main()
"""

# The program under torchrun; a thread of the group that outlives its end may abort the process at its exit.
ENDED = """
import pathlib
from asr.train.group import Group
leave = Group.leave
def leaving(group):
    leave(group)
    names = [path.read_text() for path in pathlib.Path("/proc/self/task").glob("*/comm")]
    assert not [name for name in names if "gloo" in name], names
Group.leave = leaving
from asr.cli.main import main
main()
"""


def torchrun(processes: int, *arguments: object, restarts: int = 0) -> subprocess.CompletedProcess[str]:
    """A command under torchrun, on this machine alone."""
    launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    return subprocess.run(
        [sys.executable, *launch, f"--max-restarts={restarts}", *map(str, arguments)],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def figures(run: Path, *names: str) -> torch.Tensor:
    """What was logged of the steps: (steps, names)."""
    records = [record for record in read_log(run / "log.jsonl") if record["kind"] == "step"]
    return torch.tensor([[record[name] for name in names] for record in records], dtype=torch.float64)


def arguments(conf: Path, data: Path, out: Path, *more: str) -> list[object]:
    return ["train", conf, *SETTINGS, *more, "--data", data, "--out", out]


@pytest.mark.parametrize("processes", [2, 3])
def test_several_processes_learn_as_one(processes, tiny_yaml, tones, tmp_path):
    """With dropout too: it goes with the part of a step, not with who computes it."""
    train(load_config(tiny_yaml, SETTINGS), tones, tmp_path / "one")
    program = tmp_path / "program.py"
    program.write_text(ENDED)
    done = torchrun(processes, program, *arguments(tiny_yaml, tones, tmp_path / "several"))
    assert done.returncode == 0, done.stderr
    assert f"{processes} x cpu" in done.stderr
    assert done.stdout.count("model: ") == 1
    one, several = (figures(tmp_path / name, "step", "loss", "gradient", "lr") for name in ("one", "several"))
    torch.testing.assert_close(several, one, rtol=1e-5, atol=0)
    ends = [[r for r in read_log(tmp_path / name / "log.jsonl") if r["kind"] != "step"] for name in ("one", "several")]
    assert [record["kind"] for record in ends[0]] == ["epoch", "epoch", "average"]
    for alone, together in zip(*ends, strict=True):
        assert {key: alone[key] for key in ("wer", "cer", "blank", "reference", "hypothesis")} == {
            key: together[key] for key in ("wer", "cer", "blank", "reference", "hypothesis")
        }


def test_a_process_that_dies_changes_nothing_in_the_end(tiny_yaml, tones, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    marker = tmp_path / "died"
    died = torchrun(2, program, marker, *arguments(tiny_yaml, tones, tmp_path / "died-run"), "--resume", restarts=2)
    assert died.returncode == 0, died.stderr
    assert marker.exists()
    whole = torchrun(2, program, marker, *arguments(tiny_yaml, tones, tmp_path / "whole-run"), "--resume")
    assert whole.returncode == 0, whole.stderr
    ends = [load_checkpoint(tmp_path / name / "checkpoints")[0]["model"] for name in ("died-run", "whole-run")]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    assert torch.equal(*(figures(tmp_path / name, "step", "loss") for name in ("died-run", "whole-run")))


def test_too_few_batches_a_step_are_refused(tones, settings, tmp_path, monkeypatch):
    monkeypatch.setattr(Group, "join", classmethod(lambda cls, device: Group(0, 2)))
    monkeypatch.setattr(Group, "leave", lambda self: None)
    with pytest.raises(TrainingError, match=r"train\.accumulate: 1 batches a step .* multiple of 2"):
        train(settings(), tones, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_alone_there_is_nothing_to_do():
    group = Group()
    model = torch.nn.Linear(2, 2)
    model(torch.ones(1, 2)).sum().backward()
    before = model.weight.grad.clone()
    assert group.add_gradients(model, torch.tensor([1.5, 2])).tolist() == [1.5, 2]
    assert torch.equal(model.weight.grad, before)
    group.share_weights(model)
    assert group.gather([1, 2]) == [1, 2] and group.leads
    group.wait()
    group.leave()
