"""Files are replaced whole or not at all."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from asr import atomic
from asr.atomic import Appending, claimed, leftovers, replacing
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


def test_an_error_of_the_system_names_the_file(path, monkeypatch):
    """Not the temporary one beside it, which nobody knows of."""

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch, pytest.raises(OSError, match="No space") as caught:
            patch.setattr(os, name, full)
            with replacing(path) as aside:
                aside.write_text("new")
        assert caught.value.filename == str(path)
        assert_alone(path, "old")
    with pytest.raises(FileNotFoundError) as missing, replacing(path.parent / "nowhere" / "file") as aside:
        aside.write_text("new")
    assert missing.value.filename == str(path.parent / "nowhere" / "file")
    with pytest.raises(FileNotFoundError) as other, replacing(path):
        Path("/nowhere").read_text()
    assert other.value.filename == "/nowhere"


def test_what_a_killed_process_has_left_is_found(path):
    code = (
        "import os, sys; from asr.atomic import replacing\n"
        "with replacing(sys.argv[1]) as aside: aside.touch(); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, path], check=False)
    left = leftovers(path.parent)
    assert len(left) == 1 and {*path.parent.iterdir()} == {path, *left}
    (path.parent / ".notes.tmp").touch()  # of somebody else
    assert leftovers(path.parent) == left


def test_records_are_added_whole_or_not_at_all(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"one\n")
    log = Appending(path)
    log.write(b"two\n")
    assert path.read_bytes() == b"one\ntwo\n"  # at once

    class Full:
        """Takes two bytes, then no more."""

        def __init__(self, file: Any) -> None:
            self.file, self.room = file, 2
            self.fileno = file.fileno

        def write(self, content: bytes) -> int:
            if not self.room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            took = self.file.write(content[: self.room])
            self.room -= took
            return took

    file = log._file
    log._file = Full(file)
    with pytest.raises(OSError, match="No space") as caught:
        log.write(b"three\n")
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"one\ntwo\n"
    log._file = file
    log.write(b"four\n")
    log.sync()
    log.close()
    assert path.read_bytes() == b"one\ntwo\nfour\n"


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
        with pytest.raises(AsrError, match="another process is using this folder"), claimed(tmp_path):
            pass
        other.communicate(b"x")
    assert other.returncode == -9
    with claimed(tmp_path):
        pass
    with claimed(tmp_path):
        pass
