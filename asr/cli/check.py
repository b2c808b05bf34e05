"""`asr check`: everything wrong with manifests, at once."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr.errors import ConfigError

if TYPE_CHECKING:
    from asr.data.check import Target


def check(
    manifests: Annotated[list[str], typer.Argument(metavar="[NAME=]MANIFEST...", help="Splits of one dataset.")],
    conf: Annotated[
        str | None,
        typer.Option(help="Config: also find utterances it cannot train on, and characters that train lacks."),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(help="Model: also find texts that it cannot output: too long, or outside its alphabet."),
    ] = None,
    fix: Annotated[
        Path | None,
        typer.Option(metavar="OUT", help="Write a repaired copy; of several manifests, into the folder OUT."),
    ] = None,
    decode: Annotated[
        bool, typer.Option("--decode", help="Decode all audio to the end: slower, but finds damage.")
    ] = False,
) -> None:
    """Find all problems in manifests.

    Problems go to stderr, one per line; a summary goes to stdout. Exit status: 0 no errors (maybe warnings), 1 errors,
    2 a manifest cannot be read at all.

    Example: asr check data/train.jsonl data/valid.jsonl data/test.jsonl --conf fsdd
    """
    from asr.cli.progress import progress
    from asr.data.check import check_manifests, write_repaired
    from asr.data.manifest import named_splits

    splits = named_splits(manifests)
    with progress() as advance:
        checked, shared = check_manifests(splits, _target(conf, model), decode, partial(advance, "audio"))
    problems = [problem for manifest in checked for problem in manifest.problems] + shared
    for problem in problems:
        print(problem, file=sys.stderr)
    for manifest in checked:
        print(manifest)
    if fix:
        for line in write_repaired(dict(zip(splits, checked, strict=True)), fix):
            print(line)
        print("these counts are of the original manifests; run asr check on the copy to see what remains")
    errors = sum(not problem.warning for problem in problems)
    print(f"errors {errors:,}, warnings {len(problems) - errors:,}")
    raise typer.Exit(1 if errors else 0)


def _target(conf: str | None, model: Path | None) -> Target | None:
    """What to check against, from the two options that name it."""
    if conf and model:
        raise ConfigError("give either --conf or --model, not both")
    if not conf and not model:
        return None

    from asr.data.check import Target

    if conf:
        from asr.config_file import load_config
        from asr.text import Normalizer

        config = load_config(conf)
        return Target(config, Normalizer.from_config(config.text))

    from asr.model.file import load_model

    content = load_model(str(model))
    return Target(content.config, content.normalizer, content.tokenizer)
