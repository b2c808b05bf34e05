"""`asr align`: where the words of a known text stand in a recording."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from asr.cli.options import Device, Model


def align(
    model: Model,
    audio: Annotated[str, typer.Argument(metavar="AUDIO", help="The recording; - reads standard input.")],
    textfile: Annotated[Path | None, typer.Argument(metavar="[TEXTFILE]", help="What is said in it, UTF-8.")] = None,
    text: Annotated[str | None, typer.Option("--text", help="What is said in it, in place of a file.")] = None,
    format: Annotated[str, typer.Option("--format", help="tsv: start, end, word a line; json: one object.")] = "tsv",
    device: Device = "auto",
) -> None:
    """Find when each word of a text is said.

    Start and end are seconds. The text is normalised as the model's training texts were; a text that cannot be in the
    audio, since it has too many characters for its length or characters outside the model's alphabet, is refused.

    Example: asr align runs/digits speech.wav --text "one two three"
    """
    from asr.corpora.common import read_text
    from asr.recognizer import Recognizer

    if (textfile is None) == (text is None):
        raise typer.BadParameter("either a TEXTFILE or --text", param_hint="TEXTFILE")
    if format not in ("tsv", "json"):
        raise typer.BadParameter(f"{format}: there are tsv, json", param_hint="--format")
    said = read_text(textfile) if textfile else text or ""
    transcript = Recognizer.load(model, device).align(audio, said)
    if format == "json":
        typer.echo(json.dumps(transcript.to_json(), ensure_ascii=False))
        return
    for word in transcript.words:
        typer.echo(f"{word.start:.3f}\t{word.end:.3f}\t{word.word}")
