"""Many jobs, each in a fresh process of its own, a few at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext, SpawnContext

from asr.errors import CorpusError


def in_fresh_processes(
    function: Callable[..., None],
    jobs: Sequence[tuple[object, ...]],
    workers: int,
    on_done: Callable[[int], None] = lambda done: None,
) -> None:
    """Call `function(*job)` for every job, each in a process that has done nothing before.

    The processes are forked from a server that has imported the function's module and nothing more: so they start in a
    few milliseconds, and safely, whatever libraries and threads the caller holds. As always with `multiprocessing`, a
    script that calls this does so under `if __name__ == "__main__":`.

    Args:
        function: A function of a module.
        jobs: Its arguments, one tuple a call.
        workers: Processes that run at the same time.
        on_done: Called with the number of finished jobs, whenever it has grown.

    Raises:
        CorpusError: A process failed (what it said is on stderr) or was killed; the others are stopped.
    """
    context: ForkServerContext | SpawnContext = get_context("spawn")
    if "forkserver" in get_all_start_methods():
        context = get_context("forkserver")
        context.set_forkserver_preload([function.__module__])
    waiting = deque(jobs)
    running = []
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                running.append(context.Process(target=function, args=waiting.popleft(), daemon=True))
                running[-1].start()
            wait([process.sentinel for process in running])
            for process in [process for process in running if not process.is_alive()]:
                running.remove(process)
                if process.exitcode != 0:
                    raise CorpusError(f"a worker process failed with exit status {process.exitcode}")
            on_done(len(jobs) - len(waiting) - len(running))
    finally:
        for process in running:
            process.terminate()
            process.join()
