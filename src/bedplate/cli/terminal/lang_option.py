"""The one switch for the language that people read; workers and reports follow it."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

VARIABLE = "BEDPLATE_LANG"
"""Says the language to this process and to what it launches; `locale.languages` looks here first."""


def lang_option(command: Command) -> Command:
    """Add `--lang en|zh`; it sets the language of this process while the command runs, so the command gets no argument."""

    @functools.wraps(command)
    def called(lang: str | None, **given: Any) -> Any:
        with _language(lang):
            return command(**given)

    text = f"Language of what people read.  [default: {VARIABLE}, else that of the terminal]"
    return click.option("--lang", type=click.Choice(["en", "zh"]), help=text)(called)  # type: ignore[return-value]


@contextlib.contextmanager
def _language(lang: str | None) -> Iterator[None]:
    before = os.environ.get(VARIABLE)
    if lang is not None:
        os.environ[VARIABLE] = lang
    try:
        yield
    finally:
        os.environ.pop(VARIABLE, None)
        if before is not None:
            os.environ[VARIABLE] = before
