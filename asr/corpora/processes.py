"""Many jobs, each in a fresh process of its own, a few at a time."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess

from asr.errors import AsrError, CorpusError


def in_fresh_processes(
    function: Callable[..., None],
    jobs: Sequence[tuple[object, ...]],
    workers: int,
    on_done: Callable[[int], None] = lambda done: None,
) -> None:
    """Call `function(*job)` for every job, each in a process that has done nothing before.

    The processes are forked from a helper, itself a new Python that has imported the function's module and nothing
    more: so they start in a few milliseconds, and safely, whatever libraries and threads the caller holds.
    (`multiprocessing` has a fork server too, but each of its processes imports the caller's program once more: for
    `asr demo` that is longer than a voice takes to speak.)

    Args:
        function: A function of a module; it prints nothing.
        jobs: Its arguments, one tuple a call.
        workers: Processes that run at the same time.
        on_done: Called with the number of finished jobs, whenever it has grown.

    Raises:
        CorpusError: A process failed (what it said is on stderr) or was killed; the others are stopped.
    """
    one_thread = {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}  # threads do not survive a fork
    command = [sys.executable, "-P", "-m", __name__]
    with subprocess.Popen(command, stdin=-1, stdout=-1, env=os.environ | one_thread, process_group=0) as helper:
        assert helper.stdin and helper.stdout
        try:
            with contextlib.suppress(BrokenPipeError), helper.stdin as stream:
                pickle.dump((function, list(jobs), workers), stream)
            for line in helper.stdout:
                on_done(int(line))
        except BaseException:
            os.killpg(helper.pid, signal.SIGKILL)  # all of them at once: a signal that Python handles may be lost
            raise
    if helper.returncode != 0:
        raise CorpusError("a worker process failed; see the error above")


def _fork_for_each(function: Callable[..., None], jobs: Sequence[tuple[object, ...]], workers: int) -> None:
    """The helper's work; prints the number of finished jobs. Ends the program with status 1 when a process fails."""
    context = get_context("fork")
    waiting = deque(jobs)
    running: list[BaseProcess] = []
    while waiting or running:
        while waiting and len(running) < workers:
            process = context.Process(target=_do, args=(function, *waiting.popleft()), daemon=True)
            process.start()
            running.append(process)
        ending = wait([process.sentinel for process in running])
        for ended in [process for process in running if process.sentinel in ending]:
            ended.join()
            running.remove(ended)
            if ended.exitcode != 0:
                sys.exit(1)  # daemons are stopped
        print(len(jobs) - len(waiting) - len(running), flush=True)


def _do(function: Callable[..., None], *arguments: object) -> None:
    """One job; what users can mend, such as a full disk, is said in a line."""
    try:
        function(*arguments)
    except (AsrError, OSError) as error:
        print(f"asr: error: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    _fork_for_each(*pickle.load(sys.stdin.buffer))
