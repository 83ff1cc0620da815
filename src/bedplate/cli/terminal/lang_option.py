"""The one switch for the language that people read; workers and reports follow it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

VARIABLE = "BEDPLATE_LANG"
"""Says the language to the whole process and to what it launches; `locale` looks here first."""


def lang_option(command: Command) -> Command:
    """Add `--lang en|zh`; it sets the language of this process until the command ends."""
    return click.option(
        "--lang",
        type=click.Choice(["en", "zh"]),
        expose_value=False,
        callback=_set_language,
        help=f"Language of what people read.  [default: {VARIABLE}, else that of the terminal]",
    )(command)


def _set_language(context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value is None:
        return
    before = os.environ.get(VARIABLE)

    def restore() -> None:
        if before is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = before

    os.environ[VARIABLE] = value
    context.call_on_close(restore)
