"""`asr transcribe`: audio files to text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr.cli.options import BatchFrames, Device, Model, say_notes, with_decoding
from asr.wording import printable

if TYPE_CHECKING:
    from asr.decode.options import DecodingOptions
    from asr.transcript import Transcript


@with_decoding
def transcribe(
    model: Model,
    audio: Annotated[
        list[str], typer.Argument(metavar="AUDIO...", help="Files, folders, globs; - reads standard input.")
    ],
    format: Annotated[
        str,
        typer.Option("--format", help="txt, json, srt, vtt, tsv, ctm or textgrid; several, as txt,srt, need --out."),
    ] = "txt",
    out: Annotated[Path | None, typer.Option("--out", help="Folder for a file a recording and format.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there already.")] = False,
    device: Device = "auto",
    batch_frames: BatchFrames = 24_000,
    *,
    decoding: DecodingOptions,
) -> None:
    """Write down what is said in recordings.

    Without --out the text goes to standard output: the bare text of one recording, `path<TAB>text` a line of
    several; with --format json one JSON object a line. The other formats have the times of words (tsv: start, end,
    word, confidence; ctm as NIST has it; textgrid for Praat and ELAN) or captions (srt, vtt). With --out nothing is
    replaced that is there already, such as a transcript by a human beside its recording, unless --overwrite says
    so. A recording that cannot be read is named on standard error, the rest is done, and the exit status is 1; a
    path that is not there stops it at the start.

    Example: asr transcribe runs/digits recordings/ --format txt,json --out transcripts
    """
    formats = _formats(format, out)
    if decoding.nbest > 1 and "json" not in formats:
        raise typer.BadParameter("several readings are written only with --format json", param_hint="--nbest")

    from asr.audio import find_audio
    from asr.errors import AudioError
    from asr.recognizer import Recognizer
    from asr.writers import output_stems, refuse_to_replace, save

    files = find_audio(audio)
    if len(files) > 1 and out is None and formats[0] not in ("txt", "json"):
        raise typer.BadParameter(f"{formats[0]} of several recordings needs a folder, --out", param_hint="--format")
    stems = output_stems(files)
    if out and not overwrite:
        refuse_to_replace([out / stem for stem in stems], formats)
    recognizer = Recognizer.load(model, device, decoding)
    say_notes(recognizer.decoding.notes)
    failed = 0
    for stem, result in zip(stems, recognizer.transcribe_many(files, batch_frames), strict=True):
        if isinstance(result, AudioError):
            failed += 1
            typer.echo(f"asr: {result}", err=True)
        elif out:
            save(result, out / stem, formats)
        else:
            _print(result, formats[0], alone=len(files) == 1)
    if out:
        typer.echo(f"{len(files) - failed} of {len(files)} transcribed: {out}", err=True)
    if failed:
        raise typer.Exit(1)


def _formats(text: str, out: Path | None) -> list[str]:
    """The formats of a comma-separated list."""
    from asr.writers import WRITERS

    formats = [name.strip().lower() for name in text.split(",")]
    if unknown := [name for name in formats if name not in WRITERS]:
        raise typer.BadParameter(f"{', '.join(unknown)}: there are {', '.join(WRITERS)}", param_hint="--format")
    if len(formats) > 1 and out is None:
        raise typer.BadParameter("several formats need a folder, --out", param_hint="--format")
    return formats


def _print(transcript: Transcript, form: str, alone: bool) -> None:
    """On standard output; json and txt are one line."""
    from asr.writers import WRITERS

    if form == "json":
        typer.echo(json.dumps(transcript.to_json(), ensure_ascii=False))
    elif form != "txt":
        typer.echo(WRITERS[form](transcript), nl=False)
    else:
        typer.echo(transcript.text if alone else f"{printable(transcript.audio or '')}\t{transcript.text}")
