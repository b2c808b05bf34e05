"""Fetching the archives of a corpus: each either whole and checked in its place, or not there.

What has arrived of an archive waits in a hidden file, from which an interrupted download goes on. It is unpacked aside,
and moved to where it belongs in the end, name by name: so a folder with its name is a whole one.
"""

from __future__ import annotations

import hashlib
import http.client
import shutil
import tarfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from asr.corpora.common import few
from asr.errors import CorpusError

_BLOCK = 1 << 20  # bytes
_TIMEOUT = 60.0  # seconds without a byte

OnBytes = Callable[[str, int, int], None]  # name of the archive, bytes that have arrived, bytes in all


@dataclass(frozen=True)
class Archive:
    """A tar archive on a server.

    Attributes:
        url: Where it is.
        folder: The one in the archive whose contents are wanted.
        gives: Names in that folder; where all of them are there, the archive is not fetched.
        sha256: Of the archive; "" where nobody vouches for one: then `check` must do.
        check: Says what is wrong with the unpacked folder, "" if nothing is.
    """

    url: str
    folder: str
    gives: Sequence[str]
    sha256: str = ""
    check: Callable[[Path], str] = lambda _: ""

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.url.rsplit("/", 1)[1]


def fetch(archives: Sequence[Archive], folder: str | Path, on_bytes: OnBytes = lambda *_: None) -> None:
    """Download and unpack the archives whose contents are not in the folder yet.

    Args:
        archives: What to fetch, one after the other.
        folder: Where their contents go; made if it is missing.
        on_bytes: Called as bytes arrive.

    Raises:
        CorpusError: The server cannot be reached, or what it sends is not the archive; the message says what to do.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for archive in archives:
        if all((folder / name).exists() for name in archive.gives):
            continue
        part = folder / f".{archive.name}.part"
        _download(archive, part, on_bytes)
        _verify(archive, part)
        _unpack(archive, part, folder)
        part.unlink()


def _download(archive: Archive, part: Path, on_bytes: OnBytes) -> None:
    """Bring all of an archive into `part`, going on behind what is there already."""
    try:
        have = part.stat().st_size if part.exists() else 0
        request = urllib.request.Request(archive.url, headers={"Range": f"bytes={have}-"} if have else {})
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
            have = have if answer.status == http.client.PARTIAL_CONTENT else 0  # a server may send all of it again
            length = int(answer.headers.get("Content-Length") or 0)
            total = have + length
            with part.open("ab" if have else "wb") as file:
                while block := answer.read(_BLOCK):
                    file.write(block)
                    have += len(block)
                    on_bytes(archive.name, have, max(total, have))
        if length and have < total:
            raise http.client.IncompleteRead(b"", total - have)
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:  # all of it had arrived; `_verify` tells
            return
        raise CorpusError(f"{archive.url}: the server responded {error.code} {error.reason}") from None
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        reason = str(getattr(error, "reason", error)) or type(error).__name__
        kept = (
            f"; {part} keeps the part downloaded so far, and the same command resumes from there"
            if part.exists()
            else ""
        )
        raise CorpusError(
            f"{archive.url}: download failed ({reason}){kept}; without a network, unpack the archive into the "
            "source folder yourself"
        ) from None


def _verify(archive: Archive, part: Path) -> None:
    """Make sure that a download is the archive that is meant, as far as a checksum is known; else remove it."""
    if not archive.sha256:
        return
    with part.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != archive.sha256:
        part.unlink()
        raise CorpusError(
            f"{archive.url}: is not the expected archive: its SHA-256 is {found}, not {archive.sha256}; "
            "the download was removed"
        )


def _unpack(archive: Archive, part: Path, folder: Path) -> None:
    """Unpack an archive aside, then move what it holds to its place; what is there already stays."""
    aside = folder / f".{archive.name}.unpacked"
    shutil.rmtree(aside, ignore_errors=True)
    try:
        with tarfile.open(part) as tar:
            tar.extractall(aside, filter="data")  # nothing outside of `aside`, no devices, no foreign owners
            assert tar.fileobj
            while tar.fileobj.read(1 << 20):  # to its very end, where the checksum of the compression stands
                pass
        inside = aside / archive.folder
        lacking = [name for name in archive.gives if not (inside / name).exists()]
        wrong = f"no {few(lacking)} in it" if lacking else archive.check(inside)
        if wrong:
            part.unlink()
            raise CorpusError(f"{archive.url}: is not the expected archive: {wrong}; the download was removed")
        for path in sorted(inside.iterdir()):
            if not (folder / path.name).exists():
                path.replace(folder / path.name)
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:  # zlib: damaged in the middle
        if isinstance(error, OSError) and error.errno is not None:
            raise  # a full disk, no permission: the archive is not to blame
        part.unlink(missing_ok=True)
        raise CorpusError(f"{archive.url}: cannot be unpacked ({error}); the download was removed") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)
