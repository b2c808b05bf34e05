"""`asr compare`: whether one recogniser is better than another, or it was luck."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Report = Annotated[
    Path, typer.Argument(metavar="REPORT", help="Folder that `asr evaluate` or `asr score` wrote, or its report.json.")
]


def compare(
    report_a: Report,
    report_b: Report,
    split: Annotated[
        str | None,
        typer.Option(
            "--split", metavar="NAME", help="Split to compare (A=B if the reports name it differently); default: all."
        ),
    ] = None,
    examples: Annotated[
        int, typer.Option("--examples", min=0, help="Utterances to show per split, those that differ most.")
    ] = 10,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Also write it to FILE: .json, or .md as printed.")
    ] = None,
) -> None:
    """Compare two evaluations of the same utterances.

    Prints the difference in error rate, its confidence interval, and whether it may be chance.

    Example: asr compare runs/small/report runs/large/report --split test
    """
    from asr.evaluate.compare import compare as run
    from asr.evaluate.compare import comparison, read_evaluation

    if out is not None and out.suffix not in (".json", ".md"):
        raise typer.BadParameter(f"{out} must end in .json or .md", param_hint="--out")
    evaluations = read_evaluation(report_a), read_evaluation(report_b)
    if out is not None:
        from asr.outputs import spare_inputs

        spare_inputs([out], (one.path / name for one in evaluations for name in ("report.json", "report.md")))
    found = run(*evaluations, split, examples)
    text = comparison(found)
    if out is not None:
        import json

        from asr.atomic import replacing

        content = text if out.suffix == ".md" else json.dumps(found, ensure_ascii=False, indent=2) + "\n"
        out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(out) as aside:
            aside.write_text(content, encoding="utf-8", newline="\n")
    typer.echo(text, nl=False)
