"""What ends a run from outside: signals after a step, all else in one line."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from asr.errors import TrainingError
from asr.train.checkpoint import checkpoints
from asr.train.journal import read_log
from asr.train.loop import Trainer
from asr.train.run import train
from asr.train.stop import Signals, out_of_memory, stops_told


def told(error: BaseException) -> str:
    with pytest.raises(TrainingError) as caught, stops_told():
        raise error
    return str(caught.value)


def test_a_full_disk():
    message = told(OSError(errno.ENOSPC, "No space left on device", "run/log.jsonl"))
    assert message.startswith("run/log.jsonl: no space left on device. ") and "--resume" in message


def test_a_dead_worker():
    message = told(RuntimeError("DataLoader worker (pid 3) is killed by signal: Killed."))
    assert "set batches.workers=0 or lower batches.cache_mb" in message and "--resume" in message


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[/pytorch/third_party/gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:9"),
        torch.distributed.DistBackendError("NCCL communicator was aborted on rank 1."),
    ],
)
def test_another_process_that_ended(error):
    message = told(error)
    assert "another training process has ended" in message and "--resume" in message


OUT = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."),
]


@pytest.mark.parametrize("error", OUT)
def test_no_memory(error):
    assert out_of_memory(error)
    message = told(error)
    assert message.startswith("out of memory. ") and "batches.max_frames" in message and "--resume" in message


@pytest.mark.parametrize("error", [RuntimeError("unsupported memory format"), ValueError("out of memory")])
def test_other_errors_keep_their_traceback(error):
    assert not out_of_memory(error)
    with pytest.raises(type(error), match="memory"), stops_told():
        raise error


ENDS = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: SystemExit}


def sends(number: signal.Signals, when: Callable[[Trainer], bool], wrapped: Callable, times: int = 1) -> Callable:
    """A method of the trainer that signals its own process first, where it is time to."""

    def method(trainer: Trainer, *arguments):
        for _ in range(times if when(trainer) else 0):
            os.kill(os.getpid(), number)
        return wrapped(trainer, *arguments)

    return method


@pytest.fixture
def usual_signals():
    """Handlers as a shell leaves them, and put back."""
    before = {number: signal.signal(number, usual) for number, usual in Signals.USUAL.items()}
    yield
    for number, handler in before.items():
        assert signal.signal(number, handler) == Signals.USUAL[number]  # a run leaves them as they were


@pytest.mark.parametrize("number", ENDS)
@pytest.mark.parametrize("stop", [1, 2, 3])  # within an epoch, in its last step, in the first of the next
def test_a_signal_waits_for_the_step_and_nothing_is_lost(
    stop, number, tones, settings, tmp_path, monkeypatch, capfd, usual_signals
):
    config = settings(train={"epochs": 3, "accumulate": 2, "checkpoint_steps": 100})
    train(config, tones, tmp_path / "whole")
    steps = [record for record in read_log(tmp_path / "whole" / "log.jsonl") if record["kind"] == "step"]
    assert sum(record["epoch"] == 1 for record in steps) == 2
    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "_step", sends(number, lambda it: it.progress.step == stop - 1, Trainer._step))
        with pytest.raises(ENDS[number]) as ended:
            train(config, tones, tmp_path / "cut")
    assert getattr(ended.value, "code", None) == (143 if number == signal.SIGTERM else None)
    said = capfd.readouterr().err
    assert "stopping after" in said and f"stopped after step {stop}; " in said and f"after step {stop}\n" in said
    assert checkpoints(tmp_path / "cut" / "checkpoints")[0].name == f"step-{stop:08}.pt"
    train(config, tones, tmp_path / "cut", resume=True)
    assert (tmp_path / "whole" / "model.safetensors").read_bytes() == (
        tmp_path / "cut" / "model.safetensors"
    ).read_bytes()
    logs = [
        [(r["kind"], r["step"], r["loss"]) for r in read_log(tmp_path / name / "log.jsonl") if r["kind"] != "sitting"]
        for name in ("whole", "cut")
    ]
    assert logs[0] == logs[1]


def test_a_signal_waits_for_the_validation(tones, settings, tmp_path, monkeypatch, capfd, usual_signals):
    monkeypatch.setattr(Trainer, "_validate", sends(signal.SIGINT, lambda it: True, Trainer._validate))
    with pytest.raises(KeyboardInterrupt):
        train(settings(), tones, tmp_path / "run")
    epochs = [record for record in read_log(tmp_path / "run" / "log.jsonl") if record["kind"] == "epoch"]
    assert len(epochs) == 1
    assert f"stopped after step {epochs[0]['step']}; " in capfd.readouterr().err


def test_a_second_signal_ends_at_once(tones, settings, tmp_path, monkeypatch, capfd, usual_signals):
    monkeypatch.setattr(Trainer, "_step", sends(signal.SIGINT, lambda it: it.progress.step == 1, Trainer._step, 2))
    with pytest.raises(KeyboardInterrupt):
        train(settings(train={"checkpoint_steps": 100}), tones, tmp_path / "run")
    assert "stopped in step 2; run the same command with --resume to continue after step 0" in capfd.readouterr().err


def test_who_handles_signals_otherwise_is_left_alone(usual_signals):
    with Signals().noted():
        assert signal.getsignal(signal.SIGINT) != signal.default_int_handler
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # nohup, and a shell's &
    with Signals().noted():
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def elsewhere() -> None:
        with signals.noted():
            seen.append(signal.getsignal(signal.SIGINT))

    signals, seen = Signals(), []
    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]


def test_ctrl_c_on_a_terminal_reaches_the_loaders_too_and_the_step_still_ends(tones, tiny_yaml, tmp_path):
    """A terminal sends it to all processes of the command."""
    run = tmp_path / "run"
    options = ["train.epochs=1000", "batches.workers=2", "--data", tones, "--out", run]
    command = [sys.executable, "-m", "asr", "train", tiny_yaml, *options]
    # Tests that run in the background of a script have inherited that it is ignored.
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(
        [*map(str, command)], stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=heard
    ) as process:
        while len(read_log(run / "log.jsonl")) < 5:
            assert process.poll() is None
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert len(list(Path(run / "checkpoints").iterdir())) >= 1
    last = read_log(run / "log.jsonl")[-1]["step"]
    assert f"stopped after step {last}; run the same command with --resume to continue after step {last}" in said
