"""A folder of recordings, for the tests of own recordings."""

from pathlib import Path

import pytest
from recordings import record


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four speakers, each a folder of six recordings with a text beside; no text twice."""
    for speaker in ("anna", "bert", "cleo", "dora"):
        for number in range(6):
            path = tmp_path / "source" / speaker / f"{number}.wav"
            record(path, 0.2 + 0.05 * number)
            path.with_suffix(".txt").write_text(f"sentence {number} of {speaker}\n")
    return tmp_path / "source"
