"""Fetching archives from a server on this machine that hangs up, sends nonsense, or cannot go on where it stopped."""

import hashlib
import io
import random
import tarfile
import threading
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from asr.corpora import an4, fsdd, librispeech
from asr.corpora.download import Archive, fetch
from asr.errors import CorpusError


def packed(files: dict[str, bytes]) -> bytes:
    """A tar.gz of these files."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:  # its bytes hold the time: never name a test by them
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


CONTENT = packed(
    {"corpus/README": b"hello", "corpus/part/a.txt": b"a", "other/b.txt": b"b", "corpus/noise": bytes(999)}
)


@pytest.fixture
def server():
    """What it answers with: `content`, at most `most` bytes an answer, a `status` of its own; and what it was asked."""
    behaviour = SimpleNamespace(content=CONTENT, most=None, ranges=True, status=0, asked=[])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            behaviour.asked.append(wanted)
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and behaviour.ranges else 0
            if behaviour.status or start >= len(behaviour.content):
                self.send_error(behaviour.status or 416)
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(behaviour.content) - start))
            self.end_headers()
            self.wfile.write(behaviour.content[start:][: behaviour.most])

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        behaviour.url = f"http://127.0.0.1:{http.server_port}/corpus.tar.gz"
        yield behaviour
        http.shutdown()


@pytest.fixture
def archive(server) -> Archive:
    return Archive(server.url, "corpus", ("part",), hashlib.sha256(CONTENT).hexdigest())


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_wanted_folder_comes_and_nothing_else_stays(server, archive, tmp_path):
    seen = []
    fetch([archive], tmp_path / "in", lambda *what: seen.append(what))
    assert names(tmp_path / "in") == ["README", "noise", "part"]
    assert (tmp_path / "in" / "part" / "a.txt").read_bytes() == b"a"
    assert seen[-1] == ("corpus.tar.gz", len(CONTENT), len(CONTENT))
    fetch([archive], tmp_path / "in")
    assert len(server.asked) == 1


def test_a_broken_download_is_no_corpus_and_goes_on_where_it_stopped(server, archive, tmp_path):
    server.most = 100
    with pytest.raises(CorpusError, match=r"download failed .*the same command resumes from there") as error:
        fetch([archive], tmp_path)
    assert "\n" not in str(error.value) and names(tmp_path) == [".corpus.tar.gz.part"]
    server.most = None
    fetch([archive], tmp_path)
    assert server.asked == [None, "bytes=100-"]
    assert names(tmp_path) == ["README", "noise", "part"]


def test_a_server_that_cannot_go_on_sends_all_of_it_again(server, archive, tmp_path):
    (tmp_path / ".corpus.tar.gz.part").write_bytes(CONTENT[:50])
    server.ranges = False
    fetch([archive], tmp_path)
    assert "part" in names(tmp_path)


def test_a_download_that_was_whole_but_not_unpacked_is_used(server, archive, tmp_path):
    (tmp_path / ".corpus.tar.gz.part").write_bytes(CONTENT)
    (tmp_path / ".corpus.tar.gz.unpacked" / "corpus" / "part").mkdir(parents=True)
    fetch([archive], tmp_path)
    assert server.asked == [f"bytes={len(CONTENT)}-"] and names(tmp_path) == ["README", "noise", "part"]


@pytest.mark.parametrize("letters", [bytes(range(256)), b"abc "], ids=["stored", "compressed"])
def test_an_archive_that_is_damaged_inside_is_removed(server, archive, tmp_path, letters):
    """Of FSDD's nobody publishes a checksum: what tells is the code of the compression, or its own checksum."""
    draw = random.Random(0)
    content = bytearray(packed({f"corpus/{n}": bytes(draw.choices(letters, k=200_000)) for n in ("part", "noise")}))
    middle = len(content) // 2
    content[middle : middle + 100] = bytes(100)
    server.content = bytes(content)
    with pytest.raises(CorpusError, match=r"cannot be unpacked .*; the download was removed"):
        fetch([replace(archive, sha256=None)], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_another_archive_than_the_known_one_is_removed(server, archive, tmp_path):
    server.content = packed({"corpus/part/a.txt": b"evil"})
    with pytest.raises(CorpusError, match=r"is not the expected archive: its SHA-256 is \w{64}, not .*removed"):
        fetch([archive], tmp_path)
    assert names(tmp_path) == []


def check_nothing(folder: Path) -> str:
    return "a.txt says evil" if (folder / "part" / "a.txt").read_bytes() == b"evil" else ""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (packed({"corpus/README": b""}), "is not the expected archive: no part in it"),
        (packed({"corpus/part/a.txt": b"evil"}), "is not the expected archive: a.txt says evil"),
        (b"<html>not found</html>", "cannot be unpacked"),
        (CONTENT[: len(CONTENT) // 2], "cannot be unpacked"),
        (packed({"corpus/part/a.txt": b"a", "../../evil": b"x"}), "cannot be unpacked"),
        (packed({"corpus/part/a.txt": b"a", "/tmp/asr-evil": b"x"}), None),  # unpacked below the folder
    ],
    ids=["another part", "other contents", "a page", "cut short", "a path upwards", "a path from the root"],
)
def test_without_a_checksum_the_contents_are_checked_and_nothing_leaves_the_folder(
    server, archive, tmp_path, content, message
):
    server.content = content
    folder = tmp_path / "a" / "in"
    loose = replace(archive, sha256="", check=check_nothing)
    if message:
        with pytest.raises(CorpusError, match=message):
            fetch([loose], folder)
        assert names(folder) == []
    else:
        fetch([loose], folder)
    assert names(tmp_path) == ["a"] and names(tmp_path / "a") == ["in"] and not Path("/tmp/asr-evil").exists()


def test_without_a_network_one_line_says_so(archive, tmp_path):
    nobody = replace(archive, url="http://127.0.0.1:9/corpus.tar.gz")
    with pytest.raises(CorpusError, match=r"download failed .*without a network, unpack the archive") as error:
        fetch([nobody], tmp_path)
    assert "\n" not in str(error.value)


def test_the_server_s_refusal_is_said(server, archive, tmp_path):
    server.status = 404
    with pytest.raises(CorpusError, match="the server responded 404"):
        fetch([archive], tmp_path)


def test_librispeech_has_an_archive_for_each_of_its_subsets():
    assert [archive.gives for archive in librispeech.archives()] == [
        ("train-clean-100",),
        ("dev-clean",),
        ("test-clean",),
    ]
    (first, *_) = librispeech.archives({"train": ["train-other-500"]})
    assert first.url == "https://www.openslr.org/resources/12/train-other-500.tar.gz" and len(first.sha256) == 64
    with pytest.raises(CorpusError, match="subset mine cannot be downloaded; LibriSpeech has dev-clean, "):
        librispeech.archives({"test": ["mine"]})


@pytest.mark.parametrize(("count", "message"), [(49, "2,940 recordings instead of 3,000"), (50, "")])
def test_a_release_of_fsdd_is_known_by_its_takes(tmp_path, count, message):
    (tmp_path / "recordings").mkdir()
    for speaker in ("george", "jackson", "lucas", "nicolas", "theo", "yweweler"):
        for digit in range(10):
            for take in range(count):
                (tmp_path / "recordings" / f"{digit}_{speaker}_{take}.wav").touch()
    assert fsdd.ARCHIVE.check(tmp_path) == message


@pytest.fixture
def served_an4(server, babble, monkeypatch) -> Callable[[], None]:
    """AN4's archive, on this machine."""
    files: dict[str, bytes] = {"an4/LICENSE": b"free"}
    for split, folder, speakers in (("train", "an4_clstk", "ab"), ("test", "an4test_clstk", "c")):
        files[f"an4/etc/an4_{split}.fileids"] = "".join(f"{folder}/{one}/x-{one}\n" for one in speakers).encode()
        files[f"an4/etc/an4_{split}.transcription"] = "".join(f"GO ON {one} (x-{one})\n" for one in speakers).encode()
        for one in speakers:
            samples = (20000 * babble(1.0, 16000, ord(one))).astype("<i2")
            files[f"an4/wav/{folder}/{one}/x-{one}.raw"] = samples.tobytes()
    server.content = packed(files)
    known = replace(an4.ARCHIVE, url=server.url, sha256=hashlib.sha256(server.content).hexdigest())
    monkeypatch.setattr(an4, "ARCHIVE", known)


@pytest.mark.usefixtures("served_an4")
def test_from_the_server_to_the_manifests(server, tmp_path):
    from typer.testing import CliRunner

    from asr.cli.prepare import app

    command = ["an4", "--download", "--source", str(tmp_path / "an4"), "--out", str(tmp_path / "out")]
    for _ in range(2):
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.exception
    assert server.asked == [None]
    assert names(tmp_path / "an4") == ["LICENSE", "etc", "wav"]
    assert (tmp_path / "out" / "test.jsonl").is_file()
