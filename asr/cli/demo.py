"""`asr demo`: the whole path on the embedded corpus."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer


def demo(
    settings: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SECTION.FIELD=VALUE]...", help="Settings that override the config, such as train.epochs=5."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the corpus, the run and the report.")] = Path("demo"),
) -> None:
    """Run the whole pipeline on synthetic speech.

    Synthesises a corpus, trains a model on it and evaluates it on unseen voices: about five minutes on two cores.

    Example: asr demo --out demo
    """
    from asr.cli.progress import progress
    from asr.demo import demo as run
    from asr.evaluate.markdown import summary

    try:
        report = run(out, settings or [], typer.echo, progress, shlex.join(["asr", *sys.argv[1:]]))
    except KeyboardInterrupt:
        typer.echo("stopped; run the same `asr demo` command (or `make demo`) again to resume", err=True)
        raise
    typer.echo(summary(report))
    typer.echo(f"report: {out / 'report' / 'report.md'}")
    typer.echo(f"page:   {out / 'report' / 'report.html'}")
    typer.echo(f"next:   asr transcribe {out / 'run'} RECORDING.wav")
