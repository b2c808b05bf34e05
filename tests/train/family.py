"""A process that has imported the program once, and forks itself for every command it is sent.

A command is a line of JSON on standard input, its outcome one on standard output:

    {"arguments": ["train", ...], "fault": {...} or null, "kill_after": seconds or null}
    {"status": exit status, or minus the signal, or null where it hung, "err": standard error, "seconds": wall time}

Forking is safe here: with OMP_NUM_THREADS=1 and nothing computed yet there is one thread, which is checked. The child
differs from a fresh `asr` only in the fault that is planted in it. It leads a process group of its own; what is left of
that (loader workers) is killed when it has ended.

A fault is something done to a file, and when the process is killed; at the first call that fits, but for `skip`:

    {"what": "write" | "fsync" | "rename" | "unlink", "file": pattern, "when": "before" | "during" | "after", "skip": n}
    {"what": "append", "file": pattern, "line": text of the record, ...}

`file` is matched against the name of the file that is meant, not of the temporary one beside it; fsync of a folder by
the folder's name. "during" a write is done by the kernel: a limit on the size of files, `bytes`, at which it ends the
process with SIGXFSZ in the middle of the write, as abruptly as SIGKILL does. There is no such thing for fsync, rename
and unlink: just before and just after the call is all that can be done from within, and kills at random times are for
the rest. With "when": "full" the process is not killed, but cannot write beyond the limit (EFBIG).

    {"what": "worker", "step": n}    a loader worker is killed in step n
    {"what": "trainer", "method": name, "step": n, "when": "before" | "after"}    around what it does after n steps
"""

import contextlib
import fnmatch
import importlib
import json
import multiprocessing
import os
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asr.cli.main
import asr.train.loop
import asr.train.run
from asr.atomic import Appending

PATIENCE = 900.0  # seconds; a run takes one on a machine that has nothing else to do
importlib.import_module("torch._dynamo")  # the first step of an optimiser would import it


def main() -> None:
    threads = len(list(Path("/proc/self/task").iterdir())) if Path("/proc/self/task").is_dir() else 1
    assert threads == 1, f"{threads} threads: not safe to fork"
    replies = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        replies.write(json.dumps(run(json.loads(line))) + "\n")
        replies.flush()


def run(command: dict) -> dict:
    """Run one command in a child, and tell how it ended."""
    with tempfile.TemporaryFile() as err:
        start = time.monotonic()
        child = os.fork()
        if child == 0:
            behave(command, err.fileno())
        status = wait(child, command.get("kill_after"))
        seconds = time.monotonic() - start
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        err.seek(0)
        return {"status": status, "err": err.read().decode(), "seconds": seconds}


def wait(child: int, kill_after: float | None) -> int | None:
    """The exit status of a child, which may be killed after so many seconds; None: it hung."""
    start, hung = time.monotonic(), False
    while True:
        number, status = os.waitpid(child, os.WNOHANG)
        if number:
            return None if hung else os.waitstatus_to_exitcode(status)
        hung = time.monotonic() - start > PATIENCE
        if hung or (kill_after is not None and time.monotonic() - start >= kill_after):
            with contextlib.suppress(ProcessLookupError):  # it has not come to setsid yet
                os.killpg(child, signal.SIGKILL)
        time.sleep(0.002)


def behave(command: dict, err: int) -> None:
    """Be the program; does not return."""
    status = 1
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        os.dup2(0, 1)
        os.dup2(err, 2)
        if command.get("fault"):
            plant(**command["fault"])
        sys.argv = ["asr", *command["arguments"]]
        asr.cli.main.main()
        status = 0
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def plant(what: str, file: str = "*", when: str = "", skip: int = 0, line: str = "", **more: Any) -> None:
    """Put a fault into this process."""
    calls = iter(range(skip + 1))  # the call at which it is used up is the one

    def hit(name: object, record: bytes = b"") -> bool:
        return fits(name, file) and line.encode() in record and next(calls, None) == skip

    if what == "worker":
        kill_a_worker(**more)
    elif what == "trainer":
        at_method(when=when, **more)
    elif what == "write":
        at_open(
            hit, {"before": die, "during": lambda: die_at(more["bytes"]), "full": lambda: limit(more["bytes"])}[when]
        )
    elif what == "append":
        at_append(hit, when)
    else:
        at_call({"fsync": "fsync", "rename": "replace", "unlink": "unlink"}[what], hit, when)


def at_call(name: str, hit: Callable[..., bool], when: str) -> None:
    """Die before or after a call of the system."""
    original = getattr(os, name)

    def replaced(*arguments, **options):
        meant = hit(arguments[0])
        if meant and when == "before":
            die()
        result = original(*arguments, **options)
        if meant:
            die()
        return result

    setattr(os, name, replaced)


def at_open(hit: Callable[..., bool], act: Callable[[], None]) -> None:
    """Act when a file is opened for writing, by whatever code."""

    def hook(event: str, arguments: tuple) -> None:
        opens = event == "open" and isinstance(arguments[0], str)
        if opens and arguments[2] & (os.O_WRONLY | os.O_RDWR) and hit(arguments[0]):
            act()

    sys.addaudithook(hook)


def at_append(hit: Callable[..., bool], when: str) -> None:
    """Die, or let the disk be full, at a record of a log."""
    original = Appending.write

    def write(self: Appending, record: bytes) -> None:
        meant, half = hit(self.path, record), self.path.stat().st_size + len(record) // 2
        if meant and when != "after":
            {"before": die, "during": lambda: die_at(half), "full": lambda: limit(half)}[when]()
        original(self, record)
        if meant:
            die()

    Appending.write = write


def kill_a_worker(step: int) -> None:
    original = asr.train.loop.Trainer._step

    def wrapped(self, *arguments):
        if self.progress.step == step:
            os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
        return original(self, *arguments)

    asr.train.loop.Trainer._step = wrapped


def at_method(method: str, step: int, when: str) -> None:
    """Die before or after a part of the loop."""
    original = getattr(asr.train.loop.Trainer, method)

    def wrapped(self, *arguments):
        meant = self.progress.step == step
        if meant and when == "before":
            die()
        result = original(self, *arguments)
        if meant:
            die()
        return result

    setattr(asr.train.loop.Trainer, method, wrapped)


def fits(file: object, pattern: str) -> bool:
    """Whether this file, or the one that it is to replace, has such a name."""
    path = Path(f"/proc/self/fd/{file}").readlink() if isinstance(file, int) else Path(os.fspath(file))
    return fnmatch.fnmatch(re.sub(r"^\.(.+)\.\d+\.tmp$", r"\1", path.name), pattern)


def die() -> None:
    """The whole process group, loader workers included."""
    os.killpg(0, signal.SIGKILL)


def die_at(size: int) -> None:
    """As soon as a file grows beyond a size, at this byte."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit(size)


def limit(size: int) -> None:
    """Let no file grow beyond so many bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main()
