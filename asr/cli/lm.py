"""`asr lm`: n-gram language models, made from text and measured on text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr.cli.options import NormalizerOf, normalizer_of, say_compiling
from asr.errors import LanguageModelError

if TYPE_CHECKING:
    from asr.decode.kneser_ney import Estimate

app = typer.Typer(
    help="Train and evaluate n-gram language models.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Texts = Annotated[
    list[Path],
    typer.Argument(metavar="TEXT...", help="UTF-8 text, one sentence per line, or .jsonl manifests; may be .gz."),
]


@app.command("train")
def train(
    texts: Texts,
    out: Annotated[
        Path,
        typer.Option("--out", metavar="LM", help="Output file: ARPA if it ends in .arpa or .arpa.gz, else binary."),
    ],
    order: Annotated[int, typer.Option("--order", metavar="N", help="Length of the longest n-grams.")] = 3,
    vocabulary: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Keep only the N most frequent words; others become <unk>.")
    ] = None,
    min_count: Annotated[int, typer.Option(min=1, help="Keep only words that occur at least this often.")] = 1,
    characters: Annotated[
        bool, typer.Option("--characters", help="Model characters, not words, for languages without spaces.")
    ] = False,
    normalizer: NormalizerOf = None,
) -> None:
    """Train a language model with interpolated modified Kneser-Ney smoothing, as in KenLM's lmplz.

    Example: asr lm train books.txt.gz data/own/train.jsonl --order 3 --out books.arpa
    """
    _check_files(*texts, normalizer=normalizer)

    from functools import partial

    from asr.cli.progress import progress
    from asr.decode.kneser_ney import estimate
    from asr.decode.ngram import NgramModel
    from asr.decode.sentences import characters_of, read_sentences
    from asr.outputs import require_folder, spare_inputs

    for path in texts:
        if path.suffix == ".jsonl" and path.stem.lower().startswith("test"):
            typer.echo(f"asr: warning: {path}: with a language model of its texts, a test set tells nothing", err=True)
    spare_inputs([out], [*texts, *([normalizer] if normalizer else [])])
    require_folder(out.parent)
    with progress() as advance:
        cut = characters_of if characters else str.split
        sentences = read_sentences(texts, normalizer_of(normalizer), cut, partial(advance, "reading"))
        found = estimate(sentences, order, vocabulary, min_count)
    model = NgramModel.from_table(found.table)
    model.save(out)
    _show(found, "characters" if characters else "words")
    itself = model.measure(found.text.astype("int64")).perplexity
    typer.echo(f"\nperplexity {itself:.2f} on its training text; measure it on other text with asr lm perplexity")
    typer.echo(f"language model: {out}")


@app.command("perplexity")
def perplexity(
    lm: Annotated[
        Path, typer.Argument(metavar="LM", help="ARPA file, plain or .gz, or binary file of `asr lm train`.")
    ],
    texts: Texts,
    normalizer: NormalizerOf = None,
) -> None:
    """Measure how well a language model predicts a text: the lower the perplexity, the better.

    Example: asr lm perplexity books.arpa other.txt
    """
    _check_files(lm, *texts, normalizer=normalizer)

    from functools import partial

    from asr.cli.progress import progress
    from asr.decode.ngram import NgramModel
    from asr.decode.sentences import read_sentences

    model = NgramModel.load(lm)
    with progress() as advance:
        sentences = read_sentences(texts, normalizer_of(normalizer), model.cut, partial(advance, "reading"))
        measured = model.perplexity(sentences)
    if not measured.sentences:
        raise LanguageModelError(f"no sentences in {', '.join(map(str, texts))}")
    unit = "characters" if model.characters else "words"
    typer.echo(f"{'sentences':<12}{measured.sentences:>12,}")
    typer.echo(f"{unit:<12}{measured.words:>12,}")
    typer.echo(f"{'unknown':<12}{measured.unknown:>12,}   {100 * measured.unknown_rate:.2f} % (OOV rate)")
    typer.echo(f"{'perplexity':<12}{measured.perplexity:>12.2f}   all {unit}, including sentence ends")
    typer.echo(f"{'':<12}{measured.perplexity_known:>12.2f}   excluding unknown {unit}")


def _check_files(*files: Path, normalizer: Path | None) -> None:
    """Find files that are not there before anything is loaded, and be ready to say what takes so long."""
    from asr.decode.options import check_file

    for file in files:
        check_file(file)
    if normalizer is not None and not normalizer.is_dir():
        check_file(normalizer)
    say_compiling()


def _show(found: Estimate, unit: str) -> None:
    """What was counted, and how it was smoothed."""
    typer.echo(f"{found.sentences:,} sentences, {found.words:,} {unit}")
    if found.unknown:
        share = 100 * found.unknown / found.words
        typer.echo(
            f"{found.unknown:,} of them ({share:.2f} %, the OOV rate) are outside the vocabulary and count as <unk>"
        )
    typer.echo(f"\n{'order':<8}{'n-grams':>12}{'D1':>9}{'D2':>9}{'D3+':>9}")
    for order, (level, used) in enumerate(zip(found.table.levels, found.discounts, strict=True), 1):
        note = f"   fallback: {used.fallback}" if used.fallback else ""
        typer.echo(f"{order:<8}{len(level):>12,}{used.one:>9.3f}{used.two:>9.3f}{used.more:>9.3f}{note}")
    if any(used.fallback for used in found.discounts):
        typer.echo("fallback discounts, usual for small texts and for characters, are guesses; more text avoids them")
