"""Options that the verbs about runs share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def state_option(command: Command) -> Command:
    """Adds `--state`: where runs are kept."""
    text = "Folder or database URL of the state.  [default: the user's state folder]"
    return click.option("--state", metavar="FOLDER|URL", envvar="BEDPLATE_STATE", help=text)(command)


def engine_option(command: Command) -> Command:
    """Adds `--engine`: where tasks run."""
    text = (
        "Where tasks run: local; ray://HOST:PORT or ray://auto (a Ray cluster; 'ray' alone reads RAY_ADDRESS); ray-local "
        "(three Ray nodes on this machine, for trying); simulated://NODESxCORES (virtual time, nothing is executed)."
    )
    return click.option("--engine", default="local", show_default=True, metavar="URL", help=text)(command)


def use_option(command: Command) -> Command:
    """Adds `--use NAME=MODULE`, as a mapping `use`."""
    text = "Your own use case: its name in pipeline files, and its module. May be repeated."
    return click.option("--use", metavar="NAME=MODULE", multiple=True, callback=_read_uses, help=text)(command)


def _read_uses(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    pairs = [value.partition("=") for value in values]
    for name, equals, module in pairs:
        if not (name and equals and module):
            raise click.BadParameter(f"'{name}' is not NAME=MODULE, like notify=my_package.notify")
    return {name: module for name, _, module in pairs}
