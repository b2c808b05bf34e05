"""Options that mean the same in every verb."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class DecoderName(StrEnum):
    """The decoders there are."""

    GREEDY = "greedy"


Model = Annotated[Path, typer.Argument(metavar="MODEL", help="Model file, or the folder of a run.")]
Decoder = Annotated[DecoderName, typer.Option("--decoder", help="How log-probabilities become text.")]
Device = Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1, ...; auto: cuda where there is one.")]
BatchFrames = Annotated[
    int, typer.Option("--batch-frames", min=1, help="Most frames (of 10 ms) in a batch; results do not depend on it.")
]
