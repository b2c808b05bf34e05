"""Jobs in fresh processes: all are done, progress is told, a failure is an error and never a hang."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from asr.corpora.processes import in_fresh_processes
from asr.errors import CorpusError


@pytest.mark.parametrize("workers", [1, 3])
def test_every_job_is_done_and_counted(tmp_path: Path, workers: int) -> None:
    counts: list[int] = []
    in_fresh_processes(os.mkdir, [(str(tmp_path / str(i)),) for i in range(5)], workers, counts.append)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1", "2", "3", "4"]
    assert counts == sorted(set(counts)) and counts[-1] == 5


def test_jobs_run_side_by_side(tmp_path: Path) -> None:
    """Each of four waits until all have started."""
    (tmp_path / "here").mkdir()
    (tmp_path / "met").mkdir()
    meet = (
        "touch here/{0}; for _ in $(seq 400); do test $(ls here | wc -l) = 4 && touch met/{0} && break; sleep 0.1; done"
    )
    in_fresh_processes(os.system, [(f"cd {tmp_path}; {meet.format(number)}",) for number in range(4)], 4)
    assert len(list((tmp_path / "met").iterdir())) == 4


def test_no_jobs() -> None:
    in_fresh_processes(time.sleep, [], 2)


@pytest.mark.parametrize(("function", "arguments"), [(os._exit, (3,)), (os.abort, ()), (os.mkdir, ("/",))])
def test_a_failed_process_is_an_error(function, arguments, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="worker process failed"):
        in_fresh_processes(function, [arguments] * 3, 2)


def test_a_failure_stops_the_rest(tmp_path: Path) -> None:
    made = tmp_path / "made"
    with pytest.raises(CorpusError):
        in_fresh_processes(os.mkdir, [(str(made),)] * 2 + [(str(tmp_path / "later"),)], 1)
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_an_error_of_the_caller_ends_the_helper_and_what_it_has_started(tmp_path: Path) -> None:
    def give_up(done: int) -> None:
        raise KeyboardInterrupt

    over, late = tmp_path / "over", tmp_path / "late"
    slow = f"for _ in $(seq 100); do test -e {over} && touch {late} && break; sleep 0.1; done"
    with pytest.raises(KeyboardInterrupt):
        in_fresh_processes(os.system, [("",), (slow,)], 2, give_up)  # a shell, so a process of the process
    over.touch()
    time.sleep(1)
    assert not late.exists()


def test_a_program_without_a_main_guard_runs_once(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import os\nfrom asr.corpora.processes import in_fresh_processes\nprint('here')\n"
        f"in_fresh_processes(os.mkdir, [({str(tmp_path / 'made')!r},)], 1)\n"
    )
    run = subprocess.run([sys.executable, str(program)], check=True, capture_output=True, text=True)
    assert run.stdout == "here\n" and (tmp_path / "made").is_dir()
