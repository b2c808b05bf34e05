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
            help="Files, folders, globs; and settings that override the config.",
        ),
    ],
    conf: Annotated[str, typer.Option(help="Config file, or the name of a shipped one (`asr config` lists them).")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the WAV files and pictures.")],
    count: Annotated[int, typer.Option(min=1, help="Examples per recording, one per epoch.")] = 4,
    seed: Annotated[int | None, typer.Option(min=0, help="Random seed; default: the config's train.seed.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
) -> None:
    """Write recordings as augmented for training.

    To listen to and look at what a model is trained on. Writes each recording as augmented in the first epochs
    of a training run with these settings, by the training code itself: WAV files, each with a picture of its log-mel
    features and SpecAugment masks, next to the original. Prints what was drawn for each. Recordings that cannot be
    read are listed on standard error, the others are still written, and the exit status is 1.

    Example: asr augment speech.wav --conf own --out heard augment.noise=1 augment.reverb=1
    """
    from asr.audio import find_audio
    from asr.config_file import load_config
    from asr.train.preview import write_examples
    from asr.writers import output_stems, refuse_to_replace

    settings = [text for text in audio if _SETTING.match(text) and not Path(text).exists()]
    if seed is not None:
        settings.append(f"train.seed={seed}")
    config = load_config(conf, settings)
    files = find_audio(text for text in audio if text not in settings)
    if not files:
        raise typer.BadParameter("no audio given", param_hint="AUDIO")
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
