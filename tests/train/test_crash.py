"""What ends a run from outside: a full disk, a folder that cannot be written, damage, other settings, dead workers.

Each ends it with one line that says what to do, and costs nothing that cannot be repeated.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from asr.atomic import leftovers
from asr.train.checkpoint import checkpoints, load_checkpoint
from asr.train.journal import read_log

STOPPED = {
    "what": "append",
    "file": "log.jsonl",
    "line": '"step": 7,',
    "when": "after",
}  # its checkpoints: steps 4 and 6


@pytest.fixture
def run(family, tmp_path) -> Path:
    """A run that was killed in its second epoch."""
    folder = tmp_path / "run"
    if not (family.folder / "stopped").exists():
        assert family.train(family.folder / "stopped", 0, fault=STOPPED).status == -9
    shutil.copytree(family.folder / "stopped", folder)
    assert [path.name for path in checkpoints(folder / "checkpoints")] == ["step-00000006.pt", "step-00000004.pt"]
    return folder


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Callable[[str], Path]]:
    """A function that mounts a file system in memory, or mounts it again with other options."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def mount(options: str) -> Path:
        options = f"remount,{options}" if disk.is_mount() else options
        command = ["mount", "-t", "tmpfs", "-o", options, "asr-test", disk]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("needs the right to mount a small file system")
        return disk

    yield mount
    if disk.is_mount():
        subprocess.run(["umount", "--lazy", disk], check=True)


def content_of(folder: Path) -> dict[str, bytes]:
    """All files of a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_one_line(outcome, *words: object) -> None:
    """Exit status 2; the last line on stderr is the error, with these words, and there is no traceback."""
    assert outcome.status == 2, outcome.err
    assert "Traceback" not in outcome.err and "Exception" not in outcome.err
    last = outcome.err.splitlines()[-1]
    assert last.startswith("asr: error: ") and outcome.err.count("asr: error: ") == 1
    assert all(str(word) in last for word in words), last


def assert_refused(family, run: Path, *words: object, options: tuple[str, ...] = ()) -> None:
    """One line, no training, and nothing in the folder is changed."""
    before = content_of(run)
    outcome = family.train(run, 0, *options)
    assert_one_line(outcome, *words)
    assert outcome.err.count("\n") == 1
    assert content_of(run) == before


@pytest.mark.parametrize(
    ("file", "fault"),
    [
        ("checkpoints/step-00000006.pt", {"what": "write", "bytes": 30000}),
        ("model.safetensors", {"what": "write", "bytes": 10000}),
        ("log.jsonl", {"what": "append", "line": '"step": 6,'}),
        pytest.param("tensorboard/events.", {"what": "append", "skip": 7}, marks=pytest.mark.long),
        pytest.param("curves.png", {"what": "write", "bytes": 50000}, marks=pytest.mark.long),
    ],
)
def test_a_file_that_cannot_be_written_to_its_end(file, fault, family, tmp_path):
    """The disk (here: a limit on files, of the system) takes a part of it, and then no more."""
    run = tmp_path / "run"
    name = file.rsplit("/")[-1]
    fault = fault | {"when": "full", "file": f"{name}*"}
    outcome = family.train(run, 0, fault=fault)
    assert_one_line(outcome, run / file, "file too large", "--resume")
    state, damaged = load_checkpoint(run / "checkpoints")
    assert state is not None and damaged == []
    assert leftovers(run) == leftovers(run / "checkpoints") == []
    assert (run / "log.jsonl").read_bytes().endswith(b"\n")  # no half of a record
    print(f"| {file} | step {state['progress']['step']} | {outcome.err.splitlines()[-1]} |")
    family.resume(run, 2)


def test_a_full_disk(family, small_disk):
    run = small_disk("size=220k") / "run"
    outcome = family.train(run, 0)
    assert_one_line(outcome, run, "no space left on device", "--resume")
    print(outcome.err.splitlines()[-1])
    state, damaged = load_checkpoint(run / "checkpoints")
    assert state is not None and damaged == []
    assert leftovers(run) == leftovers(run / "checkpoints") == []
    again = family.train(run, 0)
    assert_one_line(again, run, "no space left on device", "--resume")
    small_disk("size=2m")
    assert family.resume(run, 2) == f"step {state['progress']['step']}"


def test_a_folder_that_cannot_be_written(family, small_disk):
    """Said before any training is done: of a new run, and of one that is to go on."""
    disk = small_disk("size=2m")
    shutil.copytree(family.undisturbed(), disk / "run")
    (disk / "empty").mkdir()
    small_disk("ro")
    assert_refused(family, disk / "empty", disk / "empty", "read-only")
    assert_refused(family, disk / "new", disk / "new", "read-only")
    assert_refused(family, disk / "run", disk / "run", "read-only", options=("train.epochs=4",))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(family, run):
    run.chmod(0o555)
    try:
        assert_refused(family, run, run, "permission denied")
    finally:
        run.chmod(0o755)


DAMAGE = {
    "a bit flipped": lambda content: content[:30000] + bytes([content[30000] ^ 4]) + content[30001:],
    "cut": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "zeros": lambda content: bytes(len(content)),
}


@pytest.mark.parametrize("how", ["a bit flipped", *(pytest.param(h, marks=pytest.mark.long) for h in list(DAMAGE)[1:])])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(how, family, run):
    path = checkpoints(run / "checkpoints")[0]
    path.write_bytes(DAMAGE[how](path.read_bytes()))
    said = family.train(run, 0, "train.epochs=3", fault={"what": "append", "file": "log.jsonl", "when": "before"}).err
    assert f"{path}: damaged, falling back to the one before it" in said
    assert family.resume(run, 2) == "step 4"


def test_without_any_sound_checkpoint_a_run_is_not_begun_anew(family, run):
    for path in checkpoints(run / "checkpoints"):
        path.write_bytes(path.read_bytes()[:1000])
    assert_refused(family, run, run / "checkpoints", "step-00000006.pt", "step-00000004.pt", "--out")
    for path in checkpoints(run / "checkpoints"):
        path.unlink()
    assert_refused(family, run, run, "lost all checkpoints", "--out")
    (run / "log.jsonl").unlink()
    assert_refused(family, run, run, "lost all checkpoints", "--out")  # or the model would be replaced


def test_a_checkpoint_of_another_version_is_not_gone_back_from(family, run):
    """It would be deleted as soon as the run has come as far."""
    path = checkpoints(run / "checkpoints")[0]
    good = torch.load(path, weights_only=True)
    for change, word in (
        ({"format": 2}, "format is 2"),
        ({"progress": good["progress"] | {"moon": 1}}, "moon"),
    ):
        torch.save(good | change, path)
        assert_refused(family, run, path, word)
    torch.save({"weights": 1}, path)
    assert_refused(family, run, path, "lacks")
    path.unlink()
    assert family.resume(run, 2) == "step 4"


def test_a_checkpoint_of_another_run_is_refused(family, run, tmp_path):
    for number, option in enumerate(("model.hidden=8", "train.seed=5")):  # one that does not fit, and one that would
        other = tmp_path / f"other {number}"
        assert family.train(other, 0, option, fault=STOPPED).status == -9
        theirs = checkpoints(other / "checkpoints")[0]
        shutil.copyfile(theirs, run / "checkpoints" / "step-00000007.pt")
        assert_refused(family, run, run, "step 6", "other settings", "Move that file away")
    (run / "checkpoints" / "step-00000007.pt").unlink()
    assert family.resume(run, 2) == "step 6"


def test_other_settings_are_refused_and_shown(family, run):
    before = content_of(run)
    assert_refused(
        family, run, "train.lr: 0.01 -> 0.02", "model.hidden: 12 -> 16", options=("train.lr=0.02", "model.hidden=16")
    )
    assert_refused(family, run, "train.epochs: 3 -> 2", options=("train.epochs=2",))
    assert content_of(run) == before


def test_a_config_that_is_missing_or_damaged_is_named(family, run):
    path = run / "config.yaml"
    content = path.read_bytes()
    path.write_bytes(b"name: [tones\n")
    assert_refused(family, run, path, "not YAML")
    path.write_bytes(bytes(1000))
    assert_refused(family, run, path)
    path.write_bytes(b"")
    assert_refused(family, run, "other settings", "name: ")  # all others than the defaults
    path.unlink()
    assert_refused(family, run, run, "lost config.yaml")
    path.write_bytes(content)
    assert family.resume(run, 2) == "step 6"


@pytest.mark.parametrize(
    "rest",
    [b'{"kind": "st', *(pytest.param(rest, marks=pytest.mark.long) for rest in (b"", bytes(200), b"\xff\xfe\n"))],
)
def test_a_log_cut_by_a_power_cut(rest, family, run):
    """Beyond what a checkpoint has synced, there may be anything."""
    path = run / "log.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    assert json.loads(lines[-1])["step"] == 7
    path.write_bytes(b"".join(lines[:-1]) + rest)
    assert family.resume(run, 2) == "step 6"


def test_a_checkpoint_never_outlives_the_log_of_its_steps(family, tmp_path):
    """In a power cut, that is: the log is synced first."""
    fault = {"what": "fsync", "file": "log.jsonl", "when": "before", "skip": 2}  # made, step 0, then step 3
    assert family.train(tmp_path / "run", 0, fault=fault).status == -9
    assert [path.name for path in checkpoints(tmp_path / "run" / "checkpoints")] == ["step-00000000.pt"]
    assert read_log(tmp_path / "run" / "log.jsonl")[-1]["step"] == 3
    family.resume(tmp_path / "run", 2)


@pytest.mark.parametrize("step", [5, *(pytest.param(step, marks=pytest.mark.long) for step in (0, 3, 4, 7, 9, 11))])
def test_a_dead_loader_worker_ends_the_run_with_a_line(step, family, tmp_path):
    """Killed while the training process is not waiting for it, but busy with a step.

    In the last step of an epoch it may have given all that it had: nobody waits for it, and the run ends as it would.
    """
    run = tmp_path / "run"
    outcome = family.train(run, 2, fault={"what": "worker", "step": step})
    epoch_ends = step % 4 == 3
    if not (outcome.status == 0 and epoch_ends):
        assert_one_line(outcome, "a loader worker died", "--resume")
    assert leftovers(run) == leftovers(run / "checkpoints") == []
    family.resume(run, 0)
