"""What ends a run from outside, in one line."""

import errno

import pytest
import torch

from asr.errors import TrainingError
from asr.train.stop import out_of_memory, stops_told


def told(error: BaseException) -> str:
    with pytest.raises(TrainingError) as caught, stops_told():
        raise error
    return str(caught.value)


def test_a_full_disk():
    message = told(OSError(errno.ENOSPC, "No space left on device", "run/log.jsonl"))
    assert message.startswith("run/log.jsonl: no space left on device. ") and "--resume" in message


def test_a_dead_worker():
    message = told(RuntimeError("DataLoader worker (pid 3) is killed by signal: Killed."))
    assert "batches.workers=0 or a smaller batches.cache_mb" in message and "--resume" in message


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[/pytorch/third_party/gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:9"),
        torch.distributed.DistBackendError("NCCL communicator was aborted on rank 1."),
    ],
)
def test_another_process_that_ended(error):
    message = told(error)
    assert "another of the processes" in message and "--resume" in message


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
