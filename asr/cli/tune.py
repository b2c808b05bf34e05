"""`asr tune`: the weights of a language model, found on a validation set and kept in the model file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from asr.cli.options import Device, Model, Threads, say_compiling


def tune(
    model: Model,
    manifest: Annotated[str, typer.Argument(metavar="[NAME=]MANIFEST", help="Validation set; never a test set.")],
    lm: Annotated[Path, typer.Option("--lm", help="Language model: from `asr lm train`, or .arpa, .arpa.gz.")],
    lexicon: Annotated[
        Path | None, typer.Option("--lexicon", help="Output only words in this file (one per line, normalised).")
    ] = None,
    beam: Annotated[int, typer.Option("--beam", min=1, help="Widest beam to try.")] = 100,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for surface.csv and pictures; default: tune/ next to the model."),
    ] = None,
    on_test_set: Annotated[
        int,
        typer.Option(
            "--on-test-set", count=True, help="Give twice to tune on a test set, whose results are then biased."
        ),
    ] = 0,
    threads: Threads = None,
    device: Device = "auto",
) -> None:
    """Tune decoding with a language model on a validation set.

    Stores the best settings in the model file. From then on, `--lm` with the same language model uses them by default.
    Word confidences are calibrated too.

    Example: asr tune runs/own data/own/valid.jsonl --lm own.lm
    """
    from asr.decode.options import DecodingOptions

    DecodingOptions(lm=lm, lexicon=lexicon).check()
    say_compiling()

    from asr.cli.progress import progress
    from asr.evaluate import read_splits
    from asr.evaluate.tuning import tune_model

    (split,) = read_splits([manifest])
    with progress() as advance:
        tuned = tune_model(
            model,
            split,
            lm,
            lexicon,
            beam,
            out,
            on_test_set,
            device,
            threads,
            progress=advance,
            say=lambda line: typer.echo(line),
        )
    typer.echo(
        f"best: --lm-weight {tuned.profile.lm_weight:g} --word-bonus {tuned.profile.word_bonus:g} "
        f"--beam {tuned.profile.beam}: WER {100 * tuned.profile.wer:.2f} % (greedy {100 * tuned.greedy_wer:.2f} %)"
    )
    typer.echo(f"stored in {tuned.model}; all settings tried: {tuned.folder}")
