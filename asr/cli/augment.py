"""`asr augment`: recordings as training hears them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

_SETTING = re.compile(r"[a-z]+(\.[a-z0-9_]+)*=")


def augment(
    audio: Annotated[
        list[str],
        typer.Argument(
            metavar="AUDIO|SECTION.FIELD=VALUE",
            help="Files, folders, globs; and settings that win over the config.",
        ),
    ],
    conf: Annotated[str, typer.Option(help="Config file, or the name of a shipped one (`asr config` lists them).")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the WAV files and pictures.")],
    count: Annotated[int, typer.Option(min=1, help="Examples of each recording: that many epochs.")] = 4,
    seed: Annotated[int | None, typer.Option(min=0, help="Instead of the config's train.seed.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there already.")] = False,
) -> None:
    """Hear and see recordings as training hears and sees them.

    Writes each recording as the first epochs of a training under these settings would hear it, by the code that
    training runs: WAV files, each with a picture of its features with SpecAugment's masks, and the original beside
    them. Prints what was drawn for each. A recording that cannot be read is named on standard error, the rest is done,
    and the exit status is 1.

    Example: asr augment speech.wav --conf own --out heard augment.noise=1 augment.reverb=1
    """
    from asr.audio import find_audio
    from asr.config_file import load_config
    from asr.train.examples import write_examples
    from asr.writers import output_stems, refuse_to_replace

    settings = [text for text in audio if _SETTING.match(text) and not Path(text).exists()]
    if seed is not None:
        settings.append(f"train.seed={seed}")
    config = load_config(conf, settings)
    files = find_audio(text for text in audio if text not in settings)
    if not files:
        raise typer.BadParameter("no audio is given", param_hint="AUDIO")
    stems = output_stems(files)
    if not overwrite:
        written = [f"{stem}-{name}" for stem in stems for name in ("original", *range(1, count + 1))]
        refuse_to_replace([out / name for name in written], ["wav", "png"])
    failed = 0
    for example in write_examples(files, stems, config, count, out):
        if example.error:
            failed += 1
            typer.echo(f"asr: {example.error}", err=True)
        else:
            typer.echo(f"{example.path}: {example.drawn}")
    if failed:
        raise typer.Exit(1)
