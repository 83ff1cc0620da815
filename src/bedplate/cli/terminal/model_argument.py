"""The model that a verb works on: `VERB MODEL` or `VERB --model MODEL`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from bedplate.core.errors import UsageError

Command = TypeVar("Command", bound=Callable[..., Any])


def model_argument(command: Command) -> Command:
    """Add the argument MODEL and the option `--model`; the command gets the one that was given as `model`."""

    @functools.wraps(command)
    def called(model_argument: str | None, model_option: str | None, **given: Any) -> Any:
        if model_argument and model_option and model_argument != model_option:
            raise UsageError(
                "two models were given", seen=f"{model_argument} and --model {model_option}", expected="one of them"
            )
        model = model_argument or model_option
        if not model:
            raise UsageError("no model was given", expected="MODEL, a folder or the name of a fetched model")
        return command(model=model, **given)

    text = "The same as MODEL: a model folder, or the name of a fetched model."
    option = click.option("--model", "model_option", metavar="MODEL", help=text)(called)
    return click.argument("model_argument", metavar="MODEL", required=False)(option)  # type: ignore[return-value]
