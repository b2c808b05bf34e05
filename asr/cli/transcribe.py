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
        typer.Option("--format", help="txt, json, srt, vtt, tsv, ctm or textgrid; several (txt,srt) need --out."),
    ] = "txt",
    out: Annotated[Path | None, typer.Option("--out", help="Output folder: one file per recording and format.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
    device: Device = "auto",
    batch_frames: BatchFrames = 24_000,
    *,
    decoding: DecodingOptions,
) -> None:
    """Transcribe recordings.

    Without --out, text goes to standard output: just the text for a single recording, lines of `path<TAB>text` for
    several; with --format json, one JSON object per line. The other formats have word times (tsv: start, end, word,
    confidence; ctm as defined by NIST; textgrid for Praat and ELAN) or captions (srt, vtt). With --out, existing
    files, such as a human transcript next to its recording, are not replaced unless --overwrite is given.
    Recordings that cannot be read are listed on standard error, the others are still transcribed, and the exit status
    is 1; a path that does not exist is an error at the start.

    Example: asr transcribe runs/digits recordings/ --format txt,json --out transcripts
    """
    formats = _formats(format, out)
    if decoding.nbest > 1 and "json" not in formats:
        raise typer.BadParameter("several hypotheses can be written only with --format json", param_hint="--nbest")

    from asr.audio import find_audio
    from asr.cli.progress import progress
    from asr.errors import AudioError
    from asr.recognizer import Recognizer
    from asr.writers import output_stems, refuse_to_replace, save

    files = find_audio(audio)
    if len(files) > 1 and out is None and formats[0] not in ("txt", "json"):
        raise typer.BadParameter(
            f"{formats[0]} for several recordings needs an output folder: --out DIR", param_hint="--format"
        )
    stems = output_stems(files)
    if out and not overwrite:
        refuse_to_replace([out / stem for stem in stems], formats)
    recognizer = Recognizer.load(model, device, decoding)
    say_notes(recognizer.decoding.notes)
    failed = 0
    with progress() as advance:
        results = zip(stems, recognizer.transcribe_many(files, batch_frames), strict=True)
        for number, (stem, result) in enumerate(results, start=1):
            if isinstance(result, AudioError):
                failed += 1
                typer.echo(f"asr: {result}", err=True)
            elif out:
                save(result, out / stem, formats)
            else:
                _print(result, formats[0], alone=len(files) == 1)
            if out and len(files) > 1:  # else the texts show it
                advance("recordings", number, len(files))
    if out:
        typer.echo(f"{len(files) - failed} of {len(files)} transcribed: {out}", err=True)
    if failed:
        raise typer.Exit(1)


def _formats(text: str, out: Path | None) -> list[str]:
    """The formats of a comma-separated list."""
    from asr.writers import WRITERS

    formats = [name.strip().lower() for name in text.split(",")]
    if unknown := [name for name in formats if name not in WRITERS]:
        raise typer.BadParameter(
            f"unknown format '{', '.join(unknown)}'; choose from {', '.join(WRITERS)}", param_hint="--format"
        )
    if len(formats) > 1 and out is None:
        raise typer.BadParameter("several formats need an output folder: --out DIR", param_hint="--format")
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
