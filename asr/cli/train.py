"""`asr train`: train a model on a data folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer


def train(
    conf: Annotated[str, typer.Argument(help="Config file, or the name of a shipped one (`asr config` lists them).")],
    settings: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SECTION.FIELD=VALUE]...", help="Settings that override the config, such as train.epochs=5."
        ),
    ] = None,
    data: Annotated[Path, typer.Option(help="Folder with train.jsonl and valid.jsonl.")] = ...,  # type: ignore[assignment]
    out: Annotated[Path | None, typer.Option(help="Run folder; required unless --overfit.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the run if it exists, else start it.")] = False,
    overfit: Annotated[bool, typer.Option("--overfit", help="Sanity check: overfit one batch, then stop.")] = False,
) -> None:
    """Train a model.

    Example: asr train fsdd --data data/fsdd --out runs/fsdd train.seed=2
    """
    from asr.config_file import load_config

    config = load_config(conf, settings or [])
    if overfit:
        from asr.train.overfit import overfit_one_batch

        raise typer.Exit(0 if overfit_one_batch(config, data, say=typer.echo) else 1)
    if out is None:
        raise typer.BadParameter("a run folder is required (except with --overfit)", param_hint="--out")

    from asr.train.run import train as run

    model = run(config, data, out, resume)
    if os.environ.get("RANK", "0") == "0":  # of several processes under torchrun, one talks
        typer.echo(f"model: {model}")
