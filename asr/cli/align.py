"""`asr align`: where the words of a known text stand in a recording."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr.cli.options import Device, Model, say_compiling, say_notes

if TYPE_CHECKING:
    from asr.transcript import Word

# Of words that were said, none of 300 digits is below this, and 1.3 % with a poor model of read English; of words that
# were not, 98 % of the digits are, and three of four English ones put into a text that is right otherwise.
NOT_HEARD = 0.02
_NAMED = 8


def align(
    model: Model,
    audio: Annotated[str, typer.Argument(metavar="AUDIO", help="Recording; - reads standard input.")],
    textfile: Annotated[
        Path | None, typer.Argument(metavar="[TEXTFILE]", help="UTF-8 file with the words spoken in it.")
    ] = None,
    text: Annotated[str | None, typer.Option("--text", help="The words themselves, instead of a file.")] = None,
    format: Annotated[
        str, typer.Option("--format", help="tsv (start, end, word, confidence), json, srt, vtt, ctm or textgrid.")
    ] = "tsv",
    device: Device = "auto",
) -> None:
    """Find when each word of a known text is spoken.

    Start and end are in seconds. The text is normalised as the model's training texts were. A text that cannot match
    the audio, because it is too long for it or has characters outside the model's alphabet, is an error. Words that
    were probably not spoken are listed on standard error.

    Example: asr align runs/digits speech.wav --text "one two three"
    """
    if (textfile is None) == (text is None):
        raise typer.BadParameter("give the text either as TEXTFILE or with --text STRING", param_hint="TEXTFILE")
    if textfile:
        from asr.decode.options import check_file

        check_file(textfile)

    from asr.writers import WRITERS

    formats = [name for name in WRITERS if name != "txt"]  # the text is known
    if (format := format.lower()) not in formats:
        raise typer.BadParameter(f"unknown format '{format}'; choose from {', '.join(formats)}", param_hint="--format")
    say_compiling()

    from asr.corpora.common import read_text
    from asr.recognizer import Recognizer

    said = read_text(textfile) if textfile else text or ""
    transcript = Recognizer.load(model, device).align(audio, said)
    say_notes(_unheard(transcript.words))
    if format == "json":
        typer.echo(json.dumps(transcript.to_json(), ensure_ascii=False))
        return
    typer.echo(WRITERS[format](transcript), nl=False)


def _unheard(words: Sequence[Word]) -> list[str]:
    """A line about words that are probably not said, if there are any."""
    unheard = [word.word for word in words if word.confidence < NOT_HEARD]
    if not unheard:
        return []
    more = ", ..." if len(unheard) > _NAMED else ""
    named = ", ".join(unheard[:_NAMED]) + more
    return [f"{len(unheard):,} of {len(words):,} words probably not spoken (confidence below {NOT_HEARD}): {named}"]
