"""Files are replaced whole or not at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from asr import atomic
from asr.atomic import claimed, replacing
from asr.errors import AsrError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that holds something."""
    (tmp_path / "file.txt").write_text("old")
    return tmp_path / "file.txt"


def assert_alone(path: Path, content: str) -> None:
    assert path.read_text() == content
    assert list(path.parent.iterdir()) == [path]


def test_a_file_is_made_and_replaced(tmp_path):
    path = tmp_path / "file.txt"
    for content in ("first", "second"):
        with replacing(str(path)) as aside:
            assert aside.parent == tmp_path  # else the renaming would be a copy, and could be seen half done
            aside.write_text(content)
            assert not path.exists() or path.read_text() == "first"
        assert_alone(path, content)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_while_writing_leaves_the_old_file_and_nothing_else(path, error):
    with pytest.raises(error), replacing(path) as aside:
        aside.write_text("half of the ne")
        raise error
    assert_alone(path, "old")


def test_writing_nothing_leaves_the_old_file(path):
    with pytest.raises(FileNotFoundError), replacing(path):
        pass
    assert_alone(path, "old")


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc to see which file is synced")
def test_content_reaches_the_disk_before_the_name(path, monkeypatch):
    """After a power cut the name must not stand on an empty file: data first, then the name, then the folder."""
    order: list[object] = []
    rename = Path.replace

    def noting_rename(one: Path, other: Path) -> Path:
        order.append("rename")
        return rename(one, other)

    monkeypatch.setattr(os, "fsync", lambda number: order.append(Path(f"/proc/self/fd/{number}").readlink()))
    monkeypatch.setattr(Path, "replace", noting_rename)
    with replacing(path) as aside:
        aside.write_text("new")
    assert order == [aside, "rename", path.parent]


def test_a_claim_ends_with_its_process(tmp_path, monkeypatch):
    """However it ends: a killed run must not bar its own resumption."""
    code = (
        "import os, pathlib, signal, sys; from asr.atomic import claimed\n"
        "with claimed(pathlib.Path(sys.argv[1])): print('in', flush=True); sys.stdin.read(1); os.kill(os.getpid(), 9)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.read(2) == b"in"
        monkeypatch.setattr(atomic, "_PATIENCE", 0.0)
        with pytest.raises(AsrError, match="another process is at work"), claimed(tmp_path):
            pass
        other.communicate(b"x")
    assert other.returncode == -9
    with claimed(tmp_path):
        pass
    with claimed(tmp_path):
        pass
