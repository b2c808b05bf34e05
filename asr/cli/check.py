"""`asr check`: everything wrong with manifests, at once."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr.errors import ConfigError

if TYPE_CHECKING:
    from asr.data.check import Measured, Target


def check(
    manifests: Annotated[list[str], typer.Argument(metavar="[NAME=]MANIFEST...", help="Splits that belong together.")],
    conf: Annotated[
        str | None, typer.Option(help="Config: also find lengths it cannot train, characters train lacks.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="Model: also find characters and lengths that it cannot write.")
    ] = None,
    fix: Annotated[
        Path | None, typer.Option(metavar="OUT", help="Write a repaired copy; of several manifests into a folder.")
    ] = None,
    decode: Annotated[bool, typer.Option("--decode", help="Read all audio to its end: slower, finds damage.")] = False,
) -> None:
    """Find everything wrong with manifests.

    Problems go to stderr, one a line, and what there is goes to stdout. Exit status: 0 no errors (warnings may be), 1
    errors, 2 a manifest that cannot be read at all.

    Example: asr check data/train.jsonl data/valid.jsonl data/test.jsonl --conf fsdd
    """
    from asr.data.check import check_manifests, write_repaired
    from asr.data.manifest import named_splits

    splits = named_splits(manifests)
    checked, shared = check_manifests(splits, _target(conf, model), decode, _track)
    problems = [problem for manifest in checked for problem in manifest.problems] + shared
    for problem in problems:
        print(problem, file=sys.stderr)
    for manifest in checked:
        print(manifest)
    if fix:
        for line in write_repaired(dict(zip(splits, checked, strict=True)), fix):
            print(line)
        print("what is counted here is of the manifests given; check the copy to see what is left")
    errors = sum(not problem.warning for problem in problems)
    print(f"errors {errors:,}, warnings {len(problems) - errors:,}")
    raise typer.Exit(1 if errors else 0)


def _target(conf: str | None, model: Path | None) -> Target | None:
    """What to check against, from the two options that name it."""
    if conf and model:
        raise ConfigError("--conf and --model: give one of them, not both")
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


def _track(items: Iterable[Measured], total: int) -> Iterable[Measured]:
    """A progress bar on a terminal."""
    from rich.console import Console
    from rich.progress import track

    return track(items, "audio", total, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
