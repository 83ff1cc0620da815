"""Messages to a prompt, by the model's own template."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jinja2

from bedplate.service.openai.errors import ApiError, bad_request
from bedplate.service.openai.texts.codec import TextCodec
from bedplate.service.openai.texts.jinja_environment import chat_environment
from bedplate.service.openai.texts.plain_text import ControlTokenGuard

_NO_TEMPLATE = "this model has no chat template; use /v1/completions"


class ChatTemplate:
    """The template of a model. A template that is missing or broken refuses every chat; the rest of the server works.

    Args:
        codec: The model's tokenizer and template.
        allow_control_tokens: Whether control tokens that are written out in messages act as such.
    """

    def __init__(self, codec: TextCodec, *, allow_control_tokens: bool = False) -> None:
        self._codec, self._source = codec, codec.chat_template
        self._control_tokens = () if allow_control_tokens else tuple(codec.control_tokens.values())
        self._template: jinja2.Template | None = None
        self.problem: str | None = None
        """Why chats are refused; None where they are not."""
        if self._source is None:
            self.problem = _NO_TEMPLATE
            return
        try:
            self._template = chat_environment().from_string(self._source)
        except Exception as error:  # the compiler meets text from a download: syntax, depth, size
            self.problem = f"the model's chat template cannot be read, so chats are off; use /v1/completions: {error}"

    def encode(self, messages: Sequence[dict[str, Any]]) -> list[int]:
        """Tokens of the prompt, open for the assistant's answer.

        Raises:
            ApiError: No usable template, or it refuses the messages, or has no place for them (400).
        """
        guard = ControlTokenGuard(self._control_tokens)
        prompt = self.render([guard.marked(message) for message in messages])
        return [token for piece in guard.pieces(prompt) for token in self._codec.encode(piece, add_special_tokens=False)]

    def render(self, messages: Sequence[dict[str, Any]]) -> str:
        """The prompt as text.

        Raises:
            ApiError: See `encode`.
        """
        if self._template is None:
            raise bad_request(self.problem or _NO_TEMPLATE, "messages", "chat_template_unusable")
        try:
            prompt = self._rendered(messages)
        except Exception as error:  # a template is code: what it raises belongs to this request
            reason = str(error) or type(error).__name__
            raise bad_request(f"the model's chat template refuses these messages: {reason}", "messages") from error
        self._check_used(messages, prompt)
        return prompt

    def _rendered(self, messages: Sequence[dict[str, Any]]) -> str:
        assert self._template is not None
        return self._template.render(
            messages=list(messages), tools=None, documents=None, add_generation_prompt=True, **self._codec.special_tokens
        )

    def _check_used(self, messages: Sequence[dict[str, Any]], prompt: str) -> None:
        """Refuse messages of which the template drops what tools are about: the prompt is the same without it."""
        calls = [index for index, message in enumerate(messages) if "tool_calls" in message]
        if calls and self._is_same([_without_calls(message) for message in messages], prompt):
            raise _no_place(f"messages[{calls[0]}].tool_calls")
        results = [index for index, message in enumerate(messages) if message["role"] == "tool"]
        if results and self._is_same([message for message in messages if message["role"] != "tool"], prompt):
            raise _no_place(f"messages[{results[0]}]")

    def _is_same(self, messages: Sequence[dict[str, Any]], prompt: str) -> bool:
        try:
            return self._rendered(messages) == prompt
        except Exception:  # a template may insist on the message that we left out
            return False


def _without_calls(message: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name != "tool_calls"}


def _no_place(param: str) -> ApiError:
    return bad_request(f"{param}: the model's chat template has no place for this", param, "unsupported_value")
