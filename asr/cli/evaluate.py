"""`asr evaluate`: the word error rate of a model on any number of splits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr.cli.options import BatchFrames, By, Device, Model, Trn, VocabularyFile, extras_of, say_notes, with_decoding

if TYPE_CHECKING:
    from asr.decode.options import DecodingOptions


@with_decoding
def evaluate(
    model: Model,
    manifests: Annotated[
        list[str], typer.Argument(metavar="[NAME=]MANIFEST...", help="Splits; NAME defaults to the file's name.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for report.json, .md, .html and hypotheses.jsonl.")],
    device: Device = "auto",
    batch_frames: BatchFrames = 24_000,
    by: By = None,
    vocabulary: VocabularyFile = None,
    trn: Trn = False,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Refuse (exit status 2, no report) if the model has seen any of these recordings, or keeps no record "
            "of them.",
        ),
    ] = False,
    examples: Annotated[
        int, typer.Option(min=0, help="Recordings to include in report.html: half the worst, half at random.")
    ] = 30,
    *,
    decoding: DecodingOptions,
) -> None:
    """Measure the word error rate of a model.

    Prints it and writes a report, with counts and confidence intervals.

    Example: asr evaluate runs/digits valid=data/digits/valid.jsonl data/digits/test.jsonl --out runs/digits/report
    """
    from asr.cli.progress import progress
    from asr.evaluate import evaluate as run
    from asr.evaluate import read_splits
    from asr.evaluate.groups import check_fields
    from asr.evaluate.history import history
    from asr.evaluate.markdown import summary
    from asr.model.file import model_path
    from asr.recognizer import Recognizer

    splits = read_splits(manifests)
    check_fields(by or (), splits)  # before a model is loaded
    recognizer = Recognizer.load(model, device, decoding)
    say_notes(recognizer.decoding.notes)
    run_folder = model_path(model).parent
    curves = run_folder / "curves.png"
    extras = replace(
        extras_of(by, vocabulary, trn, recognizer.normalizer),
        examples=examples,
        curves=curves.read_bytes() if curves.exists() else None,
        history=history(run_folder),
    )
    with progress() as advance:
        report = run(recognizer, splits, out, batch_frames, advance, extras, strict)
    unreadable = [(name, item) for name, split in report["splits"].items() for item in split["unreadable"]]
    for name, item in unreadable:
        typer.echo(f"asr: {name}: {item['id']}: {item['error']}", err=True)
    typer.echo(summary(report))
    typer.echo(f"report: {out / 'report.md'}")
    typer.echo(f"page:   {out / 'report.html'}")
    if unreadable:
        raise typer.Exit(1)
