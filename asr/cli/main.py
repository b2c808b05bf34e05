"""The `asr` program: its verbs, and how errors become one line and an exit status.

Exit status: 0 all done; 1 some inputs failed, each named on stderr, the rest done; 2 the request itself was wrong.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import asr
from asr.cli import (
    align,
    augment,
    check,
    compare,
    config,
    demo,
    evaluate,
    info,
    lm,
    prepare,
    score,
    train,
    transcribe,
    tune,
)
from asr.errors import AsrError
from asr.wording import complaint


class _Program(TyperGroup):
    """The verbs, whose options complain as settings do."""

    def invoke(self, ctx: Any) -> Any:
        """Run a verb."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            for found in getattr(error.__cause__, "errors", list)()[:1]:  # pydantic's
                given = "" if found["type"] == "value_error" else f", not {found['input']!r}"
                error.message = complaint(found) + given
            raise


app = typer.Typer(
    name="asr",
    cls=_Program,
    help="Train a speech recogniser on your own recordings, and trust the numbers it reports.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"asr {asr.__version__}")
        raise typer.Exit


@app.callback()
def program(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """What is asked of the program before any verb."""


app.command("demo")(demo.demo)
app.add_typer(prepare.app, name="prepare")
app.command("check")(check.check)
app.command("augment")(augment.augment)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("score")(score.score)
app.command("compare")(compare.compare)
app.command("transcribe")(transcribe.transcribe)
app.command("align")(align.align)
app.command("tune")(tune.tune)
app.add_typer(lm.app, name="lm")
app.command("info")(info.info)
app.command("config")(config.config)


def main() -> None:
    """Run the program; errors that it raises on purpose end it with one line and status 2."""
    _write_any_text()
    try:
        app()
    except AsrError as error:
        print(f"asr: error: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # `asr ... | head`
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:  # a folder that is a file, no permission, a full disk
        where = f"{error.filename}: " if error.filename is not None else ""
        print(f"asr: error: {where}{(error.strerror or str(error)).lower()}", file=sys.stderr)
        sys.exit(2)


def _write_any_text() -> None:
    """Have no output fail for a character that the system's encoding lacks: to files and pipes it goes as UTF-8."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        asked = sys.stdout.isatty() or "PYTHONIOENCODING" in os.environ
        sys.stdout.reconfigure(encoding=None if asked else "utf-8", errors="backslashreplace")


if __name__ == "__main__":
    main()
