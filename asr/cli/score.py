"""`asr score`: the word error rate of texts that any recogniser has written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from asr.cli.options import By, NormalizerOf, Trn, VocabularyFile, extras_of, normalizer_of, say_notes


def score(
    references: Annotated[Path, typer.Argument(metavar="REFERENCES", help="What was said.")],
    hypotheses: Annotated[Path, typer.Argument(metavar="HYPOTHESES", help="What was recognised, by the same ids.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for report.json, .md, .html, hypotheses.jsonl.")],
    name: Annotated[
        str | None, typer.Option("--name", help="What the report calls the recogniser; else the file of HYPOTHESES.")
    ] = None,
    normalizer: NormalizerOf = None,
    raw: Annotated[bool, typer.Option("--raw", help="Compare the texts as they are, but for white space.")] = False,
    by: By = None,
    vocabulary: VocabularyFile = None,
    trn: Trn = False,
) -> None:
    """Measure the word error rate of texts from any recogniser: the report of `asr evaluate`.

    Each file is UTF-8: JSON lines (.jsonl, with "id" and "text", "hypothesis" or "pred_text": a manifest, NeMo's too,
    or a hypotheses.jsonl), .trn (words, then the id in parentheses), .tsv (id, tabulator, text; a header "id" is passed
    over) or .txt (Kaldi: id, then words). Ids that are missing, superfluous or there twice are an error. Texts are
    normalised before they are compared: lower case, no punctuation, unless --normalizer or --raw says otherwise;
    reports can be compared if that was the same.

    Example: asr score data/own/test.jsonl other/test.trn --name other --out other/report
    """
    from asr.evaluate import score_texts
    from asr.evaluate.markdown import summary
    from asr.evaluate.origin import by_others
    from asr.evaluate.splits import file_hash
    from asr.evaluate.texts import read_hypotheses, read_references
    from asr.text import Normalizer

    if raw and normalizer:
        raise typer.BadParameter("the texts as they are, or normalised: not both", param_hint="--raw")
    said, recognised = read_references(references), read_hypotheses(hypotheses)
    if said.sha256 == file_hash(hypotheses):
        say_notes([f"{references} and {hypotheses} are the same file: of a recogniser this says nothing"])
    elif recognised == {utterance.id: utterance.text for utterance in said.utterances}:
        say_notes([f"{hypotheses} holds the very texts of {references}: are they what was recognised?"])
    chosen = Normalizer("none") if raw else normalizer_of(normalizer)
    origin = by_others(name or str(hypotheses), hypotheses, chosen)
    report = score_texts(said, recognised, origin, out, chosen, extras_of(by, vocabulary, trn, chosen))
    typer.echo(summary(report))
    typer.echo(f"report: {out / 'report.md'}")
    typer.echo(f"page:   {out / 'report.html'}")
