"""Messages of a conversation: checked by role, and given to the chat template in the form that templates expect.

Templates are written for transformers: `content` is text, a tool call's `arguments` are an object and not JSON in a string,
and there is no role `developer`, which is OpenAI's newer name for `system`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError, from_json


def _text_of(content: Any) -> Any:
    """Content parts as one text; what is no list is left to the field's own check."""
    if not isinstance(content, list):
        return content
    return "".join(_text_of_part(part) for part in content)


def _text_of_part(part: Any) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind not in ("text", "refusal"):
        raise PydanticCustomError("unsupported_part", "content parts of type {kind} are not supported", {"kind": repr(kind)})
    unknown = set(part) - {"type", kind, "prompt_cache_breakpoint"}
    if unknown or not isinstance(part.get(kind), str):
        raise PydanticCustomError(
            "invalid_part", "a part of type {kind} has a string '{kind}' and nothing else", {"kind": kind}
        )
    text: str = part[kind]
    return text


Text = Annotated[str, BeforeValidator(_text_of)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class FunctionCall(_Strict):
    """Which function is called, and with what."""

    name: str
    arguments: str | dict[str, Any]


class ToolCall(_Strict):
    """One call that the assistant made."""

    id: str | None = None
    type: Literal["function"] = "function"
    function: FunctionCall
    index: int | None = None
    """Of streamed deltas; clients leave it in."""

    def for_template(self) -> dict[str, Any]:
        """As templates expect it; arguments that are not JSON stay the text that they are."""
        arguments: Any = self.function.arguments
        if isinstance(arguments, str):
            try:
                parsed = from_json(arguments or "{}", allow_inf_nan=False)
            except ValueError:
                parsed = None
            arguments = parsed if isinstance(parsed, dict) else arguments
        call = {"type": self.type, "function": {"name": self.function.name, "arguments": arguments}}
        return call if self.id is None else {"id": self.id} | call


class InstructionMessage(_Strict):
    """Instructions of the application."""

    role: Literal["system", "developer"]
    content: Text
    name: str | None = None

    def for_template(self) -> dict[str, Any]:
        """As templates expect it."""
        return _named({"role": "system", "content": self.content}, self.name)


class UserMessage(_Strict):
    """A turn of the user."""

    role: Literal["user"]
    content: Text
    name: str | None = None

    def for_template(self) -> dict[str, Any]:
        """As templates expect it."""
        return _named({"role": "user", "content": self.content}, self.name)


class ToolMessage(_Strict):
    """The result of a tool call."""

    role: Literal["tool"]
    content: Text
    tool_call_id: str
    name: str | None = None

    def for_template(self) -> dict[str, Any]:
        """As templates expect it."""
        return _named({"role": "tool", "content": self.content, "tool_call_id": self.tool_call_id}, self.name)


class AssistantMessage(_Strict):
    """An earlier answer or call of the assistant. Clients send back what they got, so it may have the fields of an answer."""

    role: Literal["assistant"]
    content: Text = ""
    refusal: str = ""
    tool_calls: list[ToolCall] = []
    name: str | None = None
    reasoning_content: str | None = None
    """As other servers answer: the reasoning before the content; most templates leave it out of later turns."""
    annotations: Annotated[list[Any], Field(max_length=0)] = []

    def for_template(self) -> dict[str, Any]:
        """As templates expect it; a refusal is its content."""
        message: dict[str, Any] = {"role": "assistant", "content": self.content or self.refusal}
        if self.tool_calls:
            message["tool_calls"] = [call.for_template() for call in self.tool_calls]
        if self.reasoning_content is not None:
            message["reasoning_content"] = self.reasoning_content
        return _named(message, self.name)


Message = Annotated[InstructionMessage | UserMessage | AssistantMessage | ToolMessage, Field(discriminator="role")]
"""One message of a conversation."""


def _named(message: dict[str, Any], name: str | None) -> dict[str, Any]:
    return message if name is None else message | {"name": name}
