"""Writes `docs/reference/`: `python -m bedplate.cli.reference docs/reference`, which `make reference` calls."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from bedplate.app.reference import pipeline_reference, schema_text
from bedplate.cli.main import command as root
from bedplate.core.files import write_file

_WIDTH = 100
_HEADER = """# Commands

What `--help` prints, for every command; made by `make reference`.
"""


def pages() -> dict[str, str]:
    """Every page by its file name."""
    return {
        "pipeline-files.md": pipeline_reference(),
        "pipeline.schema.json": schema_text(),
        "commands.md": "\n".join([_HEADER, *_helps(root, "bedplate")]),
    }


def _helps(command: click.Command, path: str) -> Iterator[str]:
    context = click.Context(command, info_name=path, terminal_width=_WIDTH, help_option_names=["-h", "--help"])
    yield f"## {path}\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from _helps(found, f"{path} {name}")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in pages().items():
        write_file(folder / file, text)
