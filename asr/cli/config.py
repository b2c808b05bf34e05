"""`asr config`: the configs that come with the program."""

from __future__ import annotations

from typing import Annotated

import typer


def config(
    name: Annotated[str | None, typer.Argument(help="Name of a shipped config, or a config file.")] = None,
) -> None:
    """Print a config with every setting explained.

    Use it to start your own. Without a name, lists the shipped configs.

    Example: asr config digits > my.yaml
    """
    from asr.config_file import config_yaml, leading_comment, load_config, shipped_configs

    if name is None:
        for shipped in shipped_configs():
            typer.echo(shipped)
    else:
        typer.echo(leading_comment(name) + config_yaml(load_config(name)), nl=False)
