"""Options that mean the same in every verb."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from asr.decode.options import DecodingOptions
    from asr.evaluate.report import Extras
    from asr.text import Normalizer

Model = Annotated[Path, typer.Argument(metavar="MODEL", help="Model file or run folder.")]
Device = Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1, ...; auto: cuda if available.")]
BatchFrames = Annotated[
    int, typer.Option("--batch-frames", min=1, help="Maximum frames (of 10 ms) per batch; does not affect results.")
]

Threads = Annotated[
    int | None,
    typer.Option("--threads", min=1, help="Threads of the beam search; default: all cores; does not affect results."),
]

NormalizerOf = Annotated[
    Path | None,
    typer.Option(
        "--normalizer",
        metavar="MODEL",
        help="Normalise text as for this acoustic model; default: basic.",
    ),
]
By = Annotated[
    list[str] | None,
    typer.Option(
        "--by",
        metavar="FIELD",
        help="Break error rates down by a manifest field, such as speaker; repeatable.",
    ),
]

VocabularyFile = Annotated[
    Path | None,
    typer.Option(
        "--vocabulary",
        metavar="FILE",
        help="Report errors on in-vocabulary and out-of-vocabulary words separately; FILE is a word list, a text or a "
        "manifest.",
    ),
]
Trn = Annotated[bool, typer.Option("--trn", help="Also write NAME.ref.trn and NAME.hyp.trn, for NIST's sclite.")]


def extras_of(by: list[str] | None, vocabulary: Path | None, trn: bool, normalizer: Normalizer) -> Extras:
    """What a report is to have beside its rates, made by the command that was typed."""
    from asr.evaluate.report import Extras
    from asr.evaluate.vocabulary import read_vocabulary
    from asr.program import command_line

    words = read_vocabulary(vocabulary, normalizer) if vocabulary else None
    return Extras(command_line(), tuple(by or ()), words, trn)


def normalizer_of(model: Path | None) -> Normalizer:
    """That of an acoustic model, or the default."""
    if model is not None:
        from asr.model.file import load_model

        return load_model(model).normalizer
    from asr.config import TextConfig
    from asr.text import Normalizer

    return Normalizer.from_config(TextConfig())


def _decoding(
    decoder: Annotated[
        str | None, typer.Option("--decoder", help="greedy or beam; default: beam with any option below, else greedy.")
    ] = None,
    beam: Annotated[
        int | None, typer.Option("--beam", min=1, help="Hypotheses kept at each step; default: as tuned, else 100.")
    ] = None,
    lm: Annotated[
        Path | None, typer.Option("--lm", help="Language model: from `asr lm train`, or .arpa, .arpa.gz.")
    ] = None,
    lm_weight: Annotated[
        float | None,
        typer.Option("--lm-weight", help="Weight of the language model's score; default: as tuned, else 0.5."),
    ] = None,
    word_bonus: Annotated[
        float | None, typer.Option("--word-bonus", help="Score added per word; default: as tuned, else 1.")
    ] = None,
    lexicon: Annotated[
        Path | None, typer.Option("--lexicon", help="Output only words in this file (one per line, normalised).")
    ] = None,
    hotwords: Annotated[
        Path | None,
        typer.Option(
            "--hotwords",
            help="File of likely words and phrases (normalised), one per line: `TEXT` or `TEXT<TAB>BOOST`.",
        ),
    ] = None,
    nbest: Annotated[
        int,
        typer.Option("--nbest", min=1, help="Hypotheses per recording (json only; in reports, for the oracle WER)."),
    ] = 1,
    threads: Threads = None,
) -> DecodingOptions:
    """The decoding flags, written down once."""
    from asr.decode.options import DecodingOptions

    options = DecodingOptions(decoder, beam, lm, lm_weight, word_bonus, lexicon, hotwords, nbest, threads)
    options.check()  # now, before the verb loads anything that takes seconds
    if options.name == "beam":
        say_compiling()
    return options


def with_decoding(verb: Callable[..., None]) -> Callable[..., None]:
    """Give a verb the decoding flags; it gets them as one argument, `decoding`."""
    flags = inspect.signature(_decoding, eval_str=True, locals={"DecodingOptions": object}).parameters
    own = inspect.signature(verb, eval_str=True, locals={"DecodingOptions": object}).parameters

    @functools.wraps(verb)
    def wrapped(**arguments: Any) -> None:
        chosen = {name: arguments.pop(name) for name in flags}
        verb(**arguments, decoding=_decoding(**chosen))

    keyword = inspect.Parameter.KEYWORD_ONLY
    merged = [*(value for name, value in own.items() if name != "decoding"), *flags.values()]
    signature = inspect.Signature([value.replace(kind=keyword) for value in merged])
    wrapped.__signature__ = signature  # type: ignore[attr-defined]
    wrapped.__annotations__ = {value.name: value.annotation for value in merged}
    return wrapped


def say_notes(notes: Iterable[str]) -> None:
    """Tell a user what was chosen for them, on standard error."""
    for note in notes:
        typer.echo(f"asr: {note}", err=True)


def say_compiling() -> None:
    """Tell a user on standard error what they are waiting for, should a decoder have to be compiled."""
    from asr.decode.compiled import tell_compiling

    tell_compiling(lambda line: say_notes([line]))
