"""What click refuses, told in the form of every other error: what was seen, what was expected, the nearest right word."""

from __future__ import annotations

import re
from collections.abc import Iterable

import click

from bedplate.core.errors import UsageError, did_you_mean

_QUOTED = re.compile(r"'(.+?)'")


def as_usage_error(error: click.ClickException) -> UsageError:
    """The error of bedplate's own that stands for one of click's."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None:
        return UsageError(_sentence(error), next_step="see --help")
    see_help = f"see '{context.command_path} --help'"
    if isinstance(error, click.NoSuchOption):
        name = error.option_name
        what = f"'{context.command_path}' has no option '{name}'"
        return UsageError(what, seen=name, next_step=did_you_mean(name, _options(context), see_help))
    if isinstance(context.command, click.Group) and (name := _unknown_command(error)):
        known = context.command.list_commands(context)
        what = f"'{context.command_path}' has no command '{name}'"
        return UsageError(what, seen=name, expected=", ".join(known), next_step=did_you_mean(name, known))
    if isinstance(error, click.BadParameter) and error.param is not None and not isinstance(error, click.MissingParameter):
        return _bad_value(error, error.param, see_help)
    usage = context.get_usage().removeprefix("Usage: ")
    return UsageError(_sentence(error), expected=" ".join(usage.split()), next_step=see_help)


def _bad_value(error: click.BadParameter, parameter: click.Parameter, see_help: str) -> UsageError:
    name = parameter.opts[-1] if isinstance(parameter, click.Option) else parameter.human_readable_name
    if not isinstance(parameter.type, click.Choice):
        return UsageError(f"{name}: {error.message.rstrip('.')}", next_step=see_help)
    known = [str(choice) for choice in parameter.type.choices]
    seen = _first_quoted(error.message)
    return UsageError(
        f"{name} must be one of {', '.join(known)}", seen=seen, expected=" | ".join(known), next_step=did_you_mean(seen, known)
    )


def _unknown_command(error: click.ClickException) -> str:
    """The word of a command that there is not; empty where `error` is another one. Click has a class for it since 8.4."""
    is_unknown = error.message.startswith("No such command")
    return str(getattr(error, "command_name", "")) or (_first_quoted(error.message) if is_unknown else "")


def _options(context: click.Context) -> Iterable[str]:
    return [word for parameter in context.command.get_params(context) for word in (*parameter.opts, *parameter.secondary_opts)]


def _first_quoted(message: str) -> str:
    match = _QUOTED.search(message)
    return match[1] if match else ""


def _sentence(error: click.ClickException) -> str:
    message = error.format_message().rstrip(".")
    return message[:1].lower() + message[1:]
