"""The second promise: a run killed at any moment and resumed ends with the same weights, bit for bit.

Through the real command line: the run that is killed differs from the others only in a few lines that send SIGKILL to
it and its loader processes at an exact place.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from asr.model.file import load_model
from asr.train.checkpoint import checkpoints
from asr.train.journal import read_log

SETTINGS = (
    "train.epochs=3",
    "train.checkpoint_steps=3",
    "batches.max_utterances=2",
    "train.average=last",
    "train.average_epochs=2",
)

# Where the run dies: code that runs in it before its command line does. Checkpoints come at steps 3, 6, ... and after
# each epoch, the first of which ends at step 4.
PREPARE = """
import os, signal
import asr.train.checkpoint as checkpoint, asr.train.loop as loop, asr.train.journal as journal

def die():
    os.killpg(0, signal.SIGKILL)

def around(module, name, before=lambda *a: False, after=lambda *a: False):
    original = getattr(module, name)
    def replaced(*arguments, **options):
        if before(*arguments):
            die()
        result = original(*arguments, **options)
        if after(*arguments):
            die()
        return result
    setattr(module, name, replaced)
"""
MOMENTS = {
    "before a checkpoint": "around(loop, 'save_checkpoint', before=lambda folder, progress, *a: progress.step == 6)",
    "half way through writing a checkpoint": """
original = checkpoint.torch.save
def half(state, path):
    original(state, path)
    if state['progress']['step'] == 6:
        os.truncate(path, path.stat().st_size // 2)
        die()
checkpoint.torch.save = half
""",
    "after a checkpoint": "around(loop, 'save_checkpoint', after=lambda folder, progress, *a: progress.step == 6)",
    "between checkpoints": "around(journal.Journal, 'step', after=lambda self, figures, *a: figures['step'] == 5)",
    "during validation": """
validations = []
around(loop, 'validate', before=lambda *a: len(validations) == 1, after=lambda *a: validations.append(1))
""",
    "after the average was validated": "around(journal.Journal, 'average', before=lambda *a: True)",
    "after a model was written": "around(journal.Journal, 'epoch', before=lambda self, figures: figures['best'])",
}
QUICK = {("half way through writing a checkpoint", 0), ("between checkpoints", 2)}


def asr_train(conf: Path, data: Path, out: Path, workers: int, *options: str, code: str = "") -> int:
    """`asr train` in a process group of its own, after some code; returns its exit status, -9 if it was killed."""
    program = ["-c", f"{PREPARE}{code}\nfrom asr.cli.main import main\nmain()"] if code else ["-m", "asr"]
    command = ["train", conf, *SETTINGS, f"batches.workers={workers}", "--data", data, "--out", out, *options]
    done = subprocess.run(
        [sys.executable, *program, *map(str, command)],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"PYTHONPATH": ""},
        start_new_session=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


def state_of(run: Path) -> dict[str, Any]:
    """The newest checkpoint, but for the time it took."""
    state = torch.load(checkpoints(run / "checkpoints")[0], weights_only=True)
    del state["progress"]["seconds"]
    return state


def figures_of(run: Path) -> list[dict[str, Any]]:
    """The log, but for times and speeds."""
    clock = ("seconds", "audio_per_second")
    return [{key: value for key, value in record.items() if key not in clock} for record in read_log(run / "log.jsonl")]


def assert_equal(one: Any, other: Any, place: str = "state") -> None:
    """Bit for bit, whatever is nested in what."""
    if isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype and torch.equal(one, other), place
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), place
        for key in one:
            assert_equal(one[key], other[key], f"{place}.{key}")
    elif isinstance(one, list):
        for number, (ours, theirs) in enumerate(zip(one, other, strict=True)):
            assert_equal(ours, theirs, f"{place}[{number}]")
    else:
        assert one == other, place


@pytest.fixture(scope="module")
def uninterrupted(tones: Path, tiny_yaml: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("uninterrupted") / "run"
    assert asr_train(tiny_yaml, tones, out, workers=0) == 0
    steps = [record["step"] for record in read_log(out / "log.jsonl") if record["kind"] == "epoch"]
    assert steps[0] == 4 and steps[1] > 6  # else the moments are not where they say
    return out


@pytest.mark.parametrize(
    ("moment", "workers"),
    [
        pytest.param(moment, workers, marks=() if (moment, workers) in QUICK else pytest.mark.long)
        for moment in MOMENTS
        for workers in (0, 2)
    ],
)
def test_a_killed_run_ends_with_the_same_weights(moment, workers, uninterrupted, tones, tiny_yaml, tmp_path):
    """Killed with no loader processes and resumed with two, or the other way round."""
    run = tmp_path / "run"
    assert asr_train(tiny_yaml, tones, run, 2 - workers, code=MOMENTS[moment]) == -signal.SIGKILL
    assert len(figures_of(run)) < len(figures_of(uninterrupted))
    assert asr_train(tiny_yaml, tones, run, workers, "--resume") == 0
    assert_equal(state_of(run), state_of(uninterrupted))
    ours, theirs = load_model(run), load_model(uninterrupted)
    assert_equal(dict(ours.model.state_dict()), dict(theirs.model.state_dict()), "model")
    assert ours.training == theirs.training
    if ours.config == theirs.config:  # in the sitting that wrote the file, as many loader processes
        assert (run / "model.safetensors").read_bytes() == (uninterrupted / "model.safetensors").read_bytes()
    assert_equal(figures_of(run), figures_of(uninterrupted), "log")
