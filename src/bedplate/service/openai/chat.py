"""Messages to a prompt, by the model's own template, in a sandbox: a template comes from a downloaded file."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any, NoReturn

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from bedplate.core.errors import UsageError
from bedplate.service.openai.codec import TextCodec
from bedplate.service.openai.errors import bad_request


def _raise(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _strftime_now(form: str) -> str:
    return datetime.datetime.now().strftime(form)


def _compiled(source: str) -> jinja2.Template:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, autoescape=False, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.globals |= {"raise_exception": _raise, "strftime_now": _strftime_now}
    try:
        return environment.from_string(source)
    except jinja2.TemplateSyntaxError as error:
        raise UsageError("the model's chat template cannot be read", seen=error, expected="a Jinja template") from error


class ChatTemplate:
    """The compiled template of a model; without one, every call is refused.

    Raises:
        UsageError: The template is not Jinja.
    """

    def __init__(self, codec: TextCodec) -> None:
        self._special_tokens = dict(codec.special_tokens)
        self._template: jinja2.Template | None = None
        if codec.chat_template is not None:
            self._template = _compiled(codec.chat_template)

    def render(self, messages: Sequence[dict[str, Any]]) -> str:
        """The prompt, open for the assistant's answer.

        Raises:
            ApiError: No template, or it refuses the messages.
        """
        if self._template is None:
            raise bad_request("this model has no chat template; use /v1/completions", "messages")
        try:
            return self._template.render(messages=messages, add_generation_prompt=True, **self._special_tokens)
        except (jinja2.TemplateError, TypeError, ValueError, LookupError, AttributeError) as error:
            raise bad_request(f"the model's chat template refuses these messages: {error}", "messages") from error
