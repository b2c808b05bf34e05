"""Running the program in the test's own process."""

import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

TINY = (
    "features.sample_rate=8000",
    "features.mels=16",
    "model.subsample=[{channels: 8, kernel: 3, stride: 2}]",
    "model.layers=1",
    "model.hidden=8",
    "train.epochs=1",
    "train.threads=1",
    "train.bf16=off",
)


class Run(NamedTuple):
    """What a command left behind."""

    status: int
    out: str
    err: str


@pytest.fixture
def run_asr(monkeypatch, capsys) -> Callable[..., Run]:
    """A function that runs `asr` with arguments as a shell would, errors and exit status included."""
    from asr.cli.main import main

    def run(*arguments: object) -> Run:
        monkeypatch.setattr(sys, "argv", ["asr", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
            sys.exit(0)
        out, err = capsys.readouterr()
        err = "".join(
            line for line in err.splitlines(True) if not line.startswith("asr: compiling")
        )  # where it is cold
        return Run(int(stop.value.code or 0), out, err)

    return run


@pytest.fixture
def tiny() -> tuple[str, ...]:
    """Settings of a model that is trained in no time."""
    return TINY
