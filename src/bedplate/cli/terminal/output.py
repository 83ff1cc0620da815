"""How verbs print: data on stdout, as a table or as JSON; everything else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def output_option(command: Command) -> Command:
    """Adds `-o/--output table|json` as the argument `output`."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(["table", "json"]),
        default="table",
        show_default=True,
        help="Form of what is printed.",
    )(command)


def print_json(data: object) -> None:
    """One JSON document on stdout."""
    json.dump(data, sys.stdout, indent=2, ensure_ascii=False, allow_nan=False)
    sys.stdout.write("\n")


def print_table(headings: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> None:
    """A table on stdout; plain tab-separated lines where stdout is not a terminal."""
    lines = [[_cell(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for line in [list(headings), *lines]:
            print("\t".join(line))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(*headings, title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for line in lines:
        table.add_row(*line)
    Console().print(table)


def _cell(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def note(text: str) -> None:
    """A line for the person at the terminal, on stderr."""
    print(text, file=sys.stderr, flush=True)
