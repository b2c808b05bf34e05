"""`asr score`: the word error rate of texts that any recogniser has written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from asr.cli.options import By, NormalizerOf, Trn, VocabularyFile, extras_of, normalizer_of, say_notes


def score(
    references: Annotated[Path, typer.Argument(metavar="REFERENCES", help="Reference transcripts.")],
    hypotheses: Annotated[Path, typer.Argument(metavar="HYPOTHESES", help="Recognised texts, with the same ids.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for report.json, .md, .html and hypotheses.jsonl.")],
    name: Annotated[
        str | None, typer.Option("--name", help="Recogniser's name in the report; default: HYPOTHESES.")
    ] = None,
    normalizer: NormalizerOf = None,
    raw: Annotated[bool, typer.Option("--raw", help="Do not normalise texts, except white space.")] = False,
    by: By = None,
    vocabulary: VocabularyFile = None,
    trn: Trn = False,
) -> None:
    """Measure the word error rate of any recogniser's output.

    Writes the report of `asr evaluate`. Each file is UTF-8: JSON lines (.jsonl, with "id" and "text", "hypothesis"
    or "pred_text": a manifest, NeMo's too, or a hypotheses.jsonl), .trn (words, then the id in parentheses), .tsv (id,
    tab, text; a header line is skipped) or .txt (Kaldi: id, then words). Missing, extra or duplicate ids are
    errors. Texts are normalised before scoring (lower case, no punctuation) unless --normalizer or --raw says
    otherwise; only reports with the same normalisation can be compared.

    Example: asr score data/own/test.jsonl other/test.trn --name other --out other/report
    """
    from asr.evaluate import score_texts
    from asr.evaluate.markdown import summary
    from asr.evaluate.origin import by_others
    from asr.evaluate.splits import file_hash
    from asr.evaluate.texts import read_hypotheses, read_references
    from asr.text import Normalizer

    if raw and normalizer:
        raise typer.BadParameter("cannot be combined with --normalizer", param_hint="--raw")
    said, recognised = read_references(references), read_hypotheses(hypotheses)
    if said.sha256 == file_hash(hypotheses):
        say_notes([f"{references} and {hypotheses} are the same file, so the result says nothing about a recogniser"])
    elif recognised == {utterance.id: utterance.text for utterance in said.utterances}:
        say_notes([f"{hypotheses} and {references} have identical texts: are they really a recogniser's output?"])
    chosen = Normalizer("none") if raw else normalizer_of(normalizer)
    origin = by_others(name or str(hypotheses), hypotheses, chosen)
    report = score_texts(said, recognised, origin, out, chosen, extras_of(by, vocabulary, trn, chosen))
    typer.echo(summary(report))
    typer.echo(f"report: {out / 'report.md'}")
    typer.echo(f"page:   {out / 'report.html'}")
