"""What ran, and on what: the program, its command line and the machine, for logs and reports."""

from __future__ import annotations

import platform
import shlex
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

import asr


def program() -> dict[str, str | None]:
    """Which program this is: its version; where it runs from a checkout the commit, `-dirty` where that was changed."""
    commit = None
    folder = Path(asr.__file__).parent.parent
    if (folder / ".git").exists():
        with suppress(OSError):
            command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12", "--exclude", "*"]
            commit = subprocess.run(command, capture_output=True, text=True).stdout.strip() or None
    return {"version": asr.__version__, "commit": commit}


def command_line() -> str:
    """The command that was typed, as it can be typed again."""
    return shlex.join(["asr", *sys.argv[1:]])


def surroundings(device: torch.device, processes: int = 1) -> dict[str, Any]:
    """What a log says of the process that writes it: `{"command", "program", "processor", "device", ...}`."""
    return {
        "command": command_line(),
        "program": program(),
        "processor": _processor(device),
        "device": device.type,
        "processes": processes,
        "threads": torch.get_num_threads(),
    }


def _processor(device: torch.device) -> str:
    """The name of what computes, such as a GPU's, or the main processor's model."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
