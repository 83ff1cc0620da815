"""Bodies of requests, checked: what is not supported is refused by name, never ignored."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

import pydantic
from pydantic import BaseModel, ConfigDict, Field

from bedplate.core.generation import SamplingSettings
from bedplate.service.openai.errors import bad_request

Body = TypeVar("Body", bound=BaseModel)
Token = Annotated[int, Field(ge=0, lt=2**32)]


class StreamOptions(BaseModel):
    """The `stream_options` object."""

    include_usage: bool = False


class _GenerationBody(BaseModel):
    """What both ways to ask have in common. Other fields of OpenAI's API are accepted at their default only."""

    model_config = ConfigDict(extra="allow")

    model: str
    temperature: Annotated[float, Field(ge=0, le=2)] = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stop: str | list[str] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    n: Literal[1] | None = 1
    user: str | None = None
    ignore_eos: bool = False
    """Ours, as in other engines: go on to `max_tokens`, for measurements."""
    return_token_ids: bool = False
    """Ours, as in other engines: `token_ids` beside the text."""

    @property
    def stop_strings(self) -> tuple[str, ...]:
        """`stop` as a tuple, empty strings left out."""
        stop = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return tuple(text for text in stop if text)

    @property
    def sampling(self) -> SamplingSettings:
        """How tokens are chosen."""
        return SamplingSettings(temperature=self.temperature, top_p=self.top_p, seed=self.seed)


class CompletionBody(_GenerationBody):
    """Body of `/v1/completions`."""

    prompt: str | list[Token] | Annotated[list[str], Field(max_length=1)] | Annotated[list[list[Token]], Field(max_length=1)]
    max_tokens: Annotated[int, Field(ge=1)] | None = 16


class TextPart(BaseModel):
    """One piece of a message."""

    type: Literal["text"]
    text: str


class Message(BaseModel):
    """One message of a conversation."""

    role: str
    content: str | list[TextPart]
    name: str | None = None

    def for_template(self) -> dict[str, Any]:
        """As chat templates expect it: text only."""
        content = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return {"role": self.role, "content": content} | ({} if self.name is None else {"name": self.name})


class ChatBody(_GenerationBody):
    """Body of `/v1/chat/completions`."""

    messages: Annotated[list[Message], Field(min_length=1)]
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None


_HARMLESS: dict[str, tuple[Any, ...]] = {
    "best_of": (None, 1),
    "echo": (None, False),
    "frequency_penalty": (None, 0),
    "function_call": (None, "none"),
    "logit_bias": (None, {}),
    "logprobs": (None, False),
    "parallel_tool_calls": (None, True, False),
    "presence_penalty": (None, 0),
    "response_format": (None, {"type": "text"}),
    "service_tier": (None, "auto", "default"),
    "store": (None, False),
    "suffix": (None, ""),
    "tool_choice": (None, "none", "auto"),
    "tools": (None, []),
    "top_logprobs": (None, 0),
}
"""Fields that we do not support, and their values that ask for nothing."""
_HINTS = frozenset({"metadata", "prompt_cache_key", "safety_identifier"})
"""Fields that tell a server something without asking for anything."""


def read_body(kind: type[Body], raw: bytes) -> Body:
    """Parse and check a request body.

    Raises:
        ApiError: Not JSON, a field is wrong, or one asks for what we cannot do.
    """
    try:
        body = kind.model_validate_json(raw)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise bad_request(f"{where}: {first['msg']}" if where else first["msg"], where or None) from error
    for name, value in (body.model_extra or {}).items():
        if name in _HINTS:
            continue
        if name not in _HARMLESS:
            raise bad_request(f"unknown field '{name}'", name)
        if value not in _HARMLESS[name]:
            raise bad_request(f"'{name}' is not supported by this server", name)
    return body
