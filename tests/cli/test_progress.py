"""Progress where there is no terminal."""

import pytest

from asr.cli import progress as module
from asr.cli.progress import progress


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass when a test says so."""
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def shown(clock, capsys, seconds: float) -> list[str]:
    """What is printed of ten files that take so many seconds each."""
    with progress() as advance:
        for done in range(11):
            advance("files", done, 10)
            clock[0] += seconds
    return capsys.readouterr().err.splitlines()


def test_long_work_has_a_line_now_and_then_and_one_at_its_end(clock, capsys):
    assert shown(clock, capsys, 4.0) == ["files: 30 %", "files: 60 %", "files: 90 %", "files: 100 %"]


def test_quick_work_says_nothing(clock, capsys):
    assert shown(clock, capsys, 0.5) == []
