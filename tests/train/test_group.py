"""Several processes under torchrun: the same training as one, also where one of them dies."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from asr.config_file import load_config
from asr.errors import AsrError, TrainingError
from asr.train.checkpoint import load_checkpoint
from asr.train.group import Group
from asr.train.journal import read_log
from asr.train.run import train

HERE = Path(__file__).parent

# Single utterances, so that an epoch is several steps of four batches and its last step has fewer than processes.
LOGGED_BESIDE = ("step", "sitting")
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

# The program under torchrun; when it is first started, one process is given a fault (see `family.py`).
FAULTY = """
import json, os, sys
import family
rank, fault = sys.argv.pop(1), json.loads(sys.argv.pop(1))
if os.environ["TORCHELASTIC_RESTART_COUNT"] == "0" and os.environ["RANK"] == rank:
    family.plant(**fault)
family.asr.cli.main.main()
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


def torchrun(
    processes: int,
    *arguments: object,
    restarts: int = 0,
    folder: Path | None = None,
    meeting: Sequence[str] = ("--standalone",),
) -> subprocess.CompletedProcess[str]:
    """A command under torchrun; on this machine alone, unless it is told where to meet others."""
    launch = ["-m", "torch.distributed.run", *meeting, f"--nproc-per-node={processes}"]
    return subprocess.run(
        [sys.executable, *launch, f"--max-restarts={restarts}", *map(str, arguments)],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(map(str, (HERE.parents[1], HERE)))},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def figures(run: Path, *names: str) -> torch.Tensor:
    """What was logged of the steps: (steps, names)."""
    records = [record for record in read_log(run / "log.jsonl") if record["kind"] == "step"]
    return torch.tensor([[record[name] for name in names] for record in records], dtype=torch.float64)


def arguments(conf: Path, data: Path, out: Path, *more: str) -> list[object]:
    return ["train", conf, *SETTINGS, *more, "--data", data, "--out", out]


@pytest.mark.parametrize(
    ("device", "there", "chosen"), [("auto", True, "cuda:1"), ("cuda", True, "cuda:1"), ("auto", False, "auto")]
)
def test_each_process_takes_a_gpu_of_its_own_and_tries_no_other(monkeypatch, device, there, chosen):
    """To try one takes some of its memory: eight processes would take eight times that of the first."""
    tried = []

    def choose(name: str) -> torch.device:
        tried.append(name)
        raise AsrError("enough")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    monkeypatch.setattr("asr.train.group.choose_device", choose)
    for name, value in {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(AsrError, match="enough"):
        Group.join(device)
    assert tried == [chosen]


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
    ends = [
        [r for r in read_log(tmp_path / name / "log.jsonl") if r["kind"] not in LOGGED_BESIDE]
        for name in ("one", "several")
    ]
    assert [record["kind"] for record in ends[0]] == ["epoch", "epoch", "average"]
    for alone, together in zip(*ends, strict=True):
        assert {key: alone[key] for key in ("wer", "cer", "blank", "reference", "hypothesis")} == {
            key: together[key] for key in ("wer", "cer", "blank", "reference", "hypothesis")
        }


# Eight steps in two epochs; checkpoints after 2, 4 (an epoch's end), 6 and 8. The first process writes, the other not.
MOMENTS = {
    "the other one before a step": (1, {"what": "trainer", "method": "_step", "step": 5, "when": "before"}),
    "the first one after a step": (0, {"what": "trainer", "method": "_step", "step": 5, "when": "after"}),
    "the first one in a checkpoint": (
        0,
        {"what": "write", "file": "step-00000006.pt", "when": "during", "bytes": 30000},
    ),
    "the first one before a checkpoint is there": (0, {"what": "rename", "file": "step-00000002.pt", "when": "before"}),
    "the first one after a checkpoint is there": (0, {"what": "rename", "file": "step-00000006.pt", "when": "after"}),
    "the other one at a checkpoint": (1, {"what": "trainer", "method": "_save", "step": 6, "when": "before"}),
    "the other one before validation": (1, {"what": "trainer", "method": "_validate", "step": 4, "when": "before"}),
    "the first one in the model file": (
        0,
        {"what": "write", "file": "model.safetensors", "when": "during", "bytes": 9000},
    ),
    "the first one after an epoch": (
        0,
        {"what": "append", "file": "log.jsonl", "line": '"epoch", "step": 4', "when": "after"},
    ),
    "the other one after an epoch": (1, {"what": "trainer", "method": "_finish_epoch", "step": 4, "when": "after"}),
}


@pytest.fixture(scope="module")
def killed(tiny_yaml, tones, tmp_path_factory) -> Callable[[str], tuple[Path, str]]:
    """A function that lets a run of two processes come to its end though one is killed; its folder and stderr."""
    folder = tmp_path_factory.mktemp("killed")
    (folder / "program.py").write_text(FAULTY)

    def run(moment: str) -> tuple[Path, str]:
        rank, fault = MOMENTS.get(moment, (-1, {}))
        planned = arguments(tiny_yaml, tones, folder / moment, "train.accumulate=2")
        done = torchrun(2, folder / "program.py", rank, json.dumps(fault), *planned, "--resume", restarts=1)
        assert done.returncode == 0, done.stderr
        return folder / moment, done.stderr

    return run


@pytest.fixture(scope="module")
def whole(killed) -> Path:
    """The run that nobody disturbed."""
    run, said = killed("never")
    assert said.count("2 x cpu") == 1
    steps = [
        (record["kind"], record["step"])
        for record in read_log(run / "log.jsonl")
        if record["kind"] not in LOGGED_BESIDE
    ]
    assert steps == [("epoch", 4), ("epoch", 8), ("average", 8)]  # else faults are not where they say
    return run


@pytest.mark.parametrize(
    "moment", [pytest.param(name, marks=pytest.mark.long if number else ()) for number, name in enumerate(MOMENTS)]
)
def test_a_process_that_dies_changes_nothing_in_the_end(moment, killed, whole, assert_same_runs):
    run, said = killed(moment)
    assert said.count("2 x cpu") == 2  # started once more
    assert_same_runs(run, whole)


@pytest.mark.long
def test_a_process_that_dies_on_another_machine_changes_nothing(tiny_yaml, tones, tmp_path, whole, assert_same_runs):
    """Two torchruns that meet over the network and share a disk; on one a process is killed, both start again."""
    (tmp_path / "program.py").write_text(FAULTY)
    rank, fault = MOMENTS["the other one before a step"]
    planned = arguments(tiny_yaml, tones, tmp_path / "run", "train.accumulate=2")
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    meeting = ("--nnodes=2", "--rdzv-backend=c10d", f"--rdzv-endpoint=localhost:{port}", "--rdzv-id=tones")
    command = (tmp_path / "program.py", rank, json.dumps(fault), *planned, "--resume")
    with ThreadPoolExecutor(2) as machines:
        done = list(machines.map(lambda _: torchrun(1, *command, restarts=1, meeting=meeting), range(2)))
    assert [one.returncode for one in done] == [0, 0], done[0].stderr + done[1].stderr
    assert sum(one.stderr.count("2 x cpu") for one in done) == 2
    assert_same_runs(tmp_path / "run", whole)


def lossy(tiny_yaml, corpus, folder: Path, tolerated: int) -> subprocess.CompletedProcess[str]:
    """Two processes that train on a corpus of which four recordings cannot be read, one epoch."""
    corpus(folder / "data")
    for number in (1, 4, 7, 10):
        (folder / "data" / "audio" / f"train-{number}.wav").write_bytes(b"RIFF")
    more = ("batches.cache_mb=0", f"batches.unreadable={tolerated}", "augment.join_seconds=0", "train.epochs=1")
    planned = arguments(tiny_yaml, folder / "data", folder / "run", *more)
    return torchrun(2, "-m", "asr", *planned)


def test_recordings_that_cannot_be_read_are_counted_together(tiny_yaml, corpus, tmp_path):
    """Whichever process meets them, and said by the one that talks."""
    done = lossy(tiny_yaml, corpus, tmp_path, tolerated=4)
    assert done.returncode == 0, done.stderr
    assert [done.stderr.count(f"left out ({number} of at most 4): ") for number in range(1, 6)] == [1, 1, 1, 1, 0]
    lost = load_checkpoint(tmp_path / "run" / "checkpoints")[0]["progress"]["unreadable"]
    assert sorted(lost) == ["train-1", "train-10", "train-4", "train-7"]


@pytest.mark.long
def test_one_recording_too_many_stops_all_processes(tiny_yaml, corpus, tmp_path):
    """Of four, no process meets more than three."""
    done = lossy(tiny_yaml, corpus, tmp_path, tolerated=3)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr.partition("asr: error")[0]
    assert "(batches.unreadable allows 3)" in done.stderr


def test_too_few_batches_a_step_are_refused(tones, settings, tmp_path, monkeypatch):
    monkeypatch.setattr(Group, "join", classmethod(lambda cls, device: Group(0, 2)))
    monkeypatch.setattr(Group, "leave", lambda self: None)
    with pytest.raises(TrainingError, match=r"train\.accumulate: 1 batches per step .* multiple of 2"):
        train(settings(), tones, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_batch_normalisation_is_for_one_process(tones, settings, tmp_path, monkeypatch):
    monkeypatch.setattr(Group, "join", classmethod(lambda cls, device: Group(0, 2)))
    monkeypatch.setattr(Group, "leave", lambda self: None)
    with pytest.raises(TrainingError, match=r"model\.norm: batch works in a single process only"):
        train(settings(train={"accumulate": 2}, model={"norm": "batch"}), tones, tmp_path / "run")


def test_alone_there_is_nothing_to_do():
    group = Group()
    model = torch.nn.Linear(2, 2)
    model(torch.ones(1, 2)).sum().backward()
    before = model.weight.grad.clone()
    assert group.all_reduce_gradients(model, torch.tensor([1.5, 2])).tolist() == [1.5, 2]
    assert torch.equal(model.weight.grad, before)
    group.broadcast_model(model)
    assert group.gather([1, 2]) == [1, 2] and group.leads
    assert group.led(lambda: 3) == 3
    group.leave()


# The program under torchrun: each process in a folder of its own, as on machines that share no disk.
APART = """
import os
from asr.cli.main import main
os.makedirs(f"machine-{os.environ['RANK']}", exist_ok=True)
os.chdir(f"machine-{os.environ['RANK']}")
main()
"""


def apart(folder: Path, *planned: object) -> subprocess.CompletedProcess[str]:
    """Two processes that do not see each other's files."""
    (folder / "program.py").write_text(APART)
    return torchrun(2, folder / "program.py", *planned, folder=folder)


def test_only_the_first_process_needs_the_run_folder(tiny_yaml, tones, tmp_path):
    """Also to go on: where each went on from what it found, they would add up gradients of different models."""
    planned = [*arguments(tiny_yaml, tones, Path("run"), "train.accumulate=2"), "--resume"]
    first = apart(tmp_path, *planned, "train.epochs=1")
    assert first.returncode == 0, first.stderr
    assert not (tmp_path / "machine-1" / "run").exists()
    (tmp_path / "machine-1" / "run").mkdir()
    (tmp_path / "machine-1" / "run" / "thesis.txt").write_text("not a run")
    second = apart(tmp_path, *planned, "train.epochs=2")
    assert second.returncode == 0, second.stderr
    assert "from step 4" in second.stderr
    for epochs in (1, 2):  # the same, of one process
        config = load_config(tiny_yaml, [*SETTINGS, "train.accumulate=2", f"train.epochs={epochs}"])
        train(config, tones, tmp_path / "one", resume=True)
    one, apart_from_it = (
        figures(folder, "step", "loss", "gradient") for folder in (tmp_path / "one", tmp_path / "machine-0" / "run")
    )
    assert len(one) == 8
    torch.testing.assert_close(apart_from_it, one, rtol=1e-5, atol=0)


def test_what_stops_the_first_process_stops_all_in_one_line(tiny_yaml, tones, tmp_path):
    planned = arguments(tiny_yaml, tones, Path("run"), "train.accumulate=2", "train.epochs=1")
    (tmp_path / "machine-0" / "run").mkdir(parents=True)
    (tmp_path / "machine-0" / "run" / "thesis.txt").write_text("not a run")
    done = apart(tmp_path, *planned)
    assert done.returncode != 0
    assert done.stderr.count("asr: error: run: not empty, and not a run") == 2
    assert not (tmp_path / "machine-1" / "run").exists()


def test_processes_with_other_data_are_refused(tiny_yaml, corpus, tmp_path):
    corpus(tmp_path / "machine-0" / "data")
    corpus(tmp_path / "machine-1" / "data", ["ab", "ba", "cab", "a", "b"])
    done = apart(tmp_path, *arguments(tiny_yaml, Path("data"), Path("run"), "train.accumulate=2"))
    assert done.returncode != 0
    assert done.stderr.count("the training processes have different training and validation sets") == 2
    assert not (tmp_path / "machine-0" / "run").exists()


def test_an_error_of_one_process_is_no_traceback_of_the_others(tiny_yaml, corpus, tmp_path):
    """A recording that only the other machine cannot read."""
    for number in range(2):
        corpus(tmp_path / f"machine-{number}" / "data")
    for broken in (tmp_path / "machine-1" / "data" / "audio").glob("train-*.wav"):
        broken.write_bytes(b"RIFF")
    more = ("train.accumulate=2", "batches.cache_mb=0")
    start = apart(tmp_path, *arguments(tiny_yaml, Path("data"), Path("run"), *more))
    assert start.returncode != 0
    assert "train-" in start.stderr
    assert "gloo" not in start.stderr
