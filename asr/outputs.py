"""Where results are written: into folders that take them, and never over what they are made of."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from asr.errors import AsrError


def require_folder(out: Path) -> None:
    """Make a folder, and make sure that files can be written there.

    Raises:
        OSError: They cannot.
    """
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=out):
        pass


def spare_inputs(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Make sure that nothing is written over a file that is read.

    Raises:
        AsrError: An output is an input too, by whatever path.
    """
    read = {path.resolve() for path in inputs}
    for path in outputs:
        if path.resolve() in read:
            raise AsrError(f"{path}: is an input and would be overwritten; write somewhere else (--out)")
