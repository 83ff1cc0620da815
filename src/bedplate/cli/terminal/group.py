"""Groups of verbs, and whole numbers as options: their help in the words and form of the rest."""

from __future__ import annotations

from typing import Any

import click

from bedplate.core.errors import UsageError


class Group(click.Group):
    """A group whose commands are listed with the whole first sentence of their help."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The section `Commands`."""
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        with formatter.section("Commands"):
            formatter.write_dl([(name, _first_sentence(command)) for name, command in commands.items() if command])


class WholeNumber(click.ParamType):  # type: ignore[type-arg]  # generic only since click 8.5
    """A whole number that is not below `minimum`."""

    name = "n"

    def __init__(self, minimum: int) -> None:
        self._minimum = minimum

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Raises UsageError for what is no such number."""
        option = param.opts[0] if param else self.name
        try:
            number = int(value)
        except ValueError:
            raise UsageError(f"'{option}' must be a whole number", seen=value, expected=str(self)) from None
        if number < self._minimum:
            raise UsageError(f"'{option}' is out of range", seen=value, expected=str(self))
        return number

    def __str__(self) -> str:
        return f"at least {self._minimum}"


def _first_sentence(command: click.Command) -> str:
    paragraph = " ".join((command.help or "").split("\n\n")[0].split())
    return command.short_help or paragraph.partition(". ")[0].rstrip(".") + "."
