"""Bodies of requests, checked: null means absent, and what is unknown or unsupported is refused by name, at any depth."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import pydantic
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import ErrorDetails, from_json

from bedplate.core.errors import did_you_mean
from bedplate.core.generation import MAX_LOGPROBS, SamplingSettings
from bedplate.service.openai.errors import ApiError, bad_request
from bedplate.service.openai.requests.messages import Message
from bedplate.service.openai.requests.parameters import without_neutral, without_nulls
from bedplate.service.openai.requests.prompts import Prompt, read_prompts

Body = TypeVar("Body", bound="GenerationBody")
MAX_STOPS = 64
MAX_STOP_CHARACTERS = 1_000
"""Each token of an answer is compared with each stop string, so their number and length are bounded."""

_Token = Annotated[int, Field(ge=0, lt=2**32)]
_StopString = Annotated[str, Field(max_length=MAX_STOP_CHARACTERS)]


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class StreamOptions(_Strict):
    """The `stream_options` object."""

    include_usage: bool = False
    continuous_usage_stats: bool = False
    """As in other engines: `usage` in every event."""
    include_obfuscation: bool = False
    """A hint: padding against eavesdroppers that count bytes. Never added."""


class GenerationBody(_Strict):
    """What completions and chats have in common."""

    model: str
    temperature: Annotated[float, Field(ge=0, le=2)] = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    n: Annotated[int, Field(ge=1, le=128)] = 1
    stop: Annotated[list[_StopString], BeforeValidator(_as_list), Field(max_length=MAX_STOPS)] = []
    stop_token_ids: Annotated[list[_Token], Field(max_length=MAX_STOPS)] = []
    """As in other engines: more tokens that end an answer."""
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()
    ignore_eos: bool = False
    """As in other engines: the model's own end tokens do not end the answer; for measurements."""
    return_token_ids: bool = False
    """As in other engines: `token_ids` next to the text."""

    @property
    def stop_strings(self) -> tuple[str, ...]:
        """`stop` without empty strings."""
        return tuple(text for text in self.stop if text)

    def sampling(self, choice: int) -> SamplingSettings:
        """How the tokens of one of the `n` choices are chosen; a seed gives each choice a seed of its own."""
        seed = None if self.seed is None else (self.seed + choice) % 2**63
        return SamplingSettings(temperature=self.temperature, top_p=self.top_p, seed=seed)


class CompletionBody(GenerationBody):
    """Body of `/v1/completions`."""

    prompt: Annotated[tuple[Prompt, ...], BeforeValidator(read_prompts)]
    max_tokens: Annotated[int, Field(ge=0)] = 16
    echo: bool = False
    add_special_tokens: bool = True
    """As in other engines: what the tokenizer puts around a document, such as a beginning-of-text token."""
    logprobs: Annotated[int, Field(ge=0, le=MAX_LOGPROBS)] | None = None


class ChatBody(GenerationBody):
    """Body of `/v1/chat/completions`."""

    messages: Annotated[list[Message], Field(min_length=1)]
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool = False
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_LOGPROBS)] = 0


def read_body(kind: type[Body], raw: bytes) -> Body:
    """Parse and check a request body.

    Raises:
        ApiError: Not JSON, a field is wrong, or one asks for what we cannot do (400).
    """
    try:
        data = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise bad_request(f"the body is not JSON: {error}", code="invalid_json") from error
    if not isinstance(data, dict):
        raise bad_request("the body must be a JSON object", code="invalid_type")
    fields = without_neutral(without_nulls(data), frozenset(kind.model_fields))
    if fields.get("top_logprobs") and not fields.get("logprobs"):
        raise bad_request("'top_logprobs' needs 'logprobs': true", "top_logprobs", "invalid_value")
    try:
        return kind.model_validate(fields)
    except pydantic.ValidationError as error:
        raise _refusal(kind, error.errors(include_url=False, include_input=False)[0]) from error


def _refusal(kind: type[BaseModel], error: ErrorDetails) -> ApiError:
    where, reason = error["loc"], error["type"]
    if reason.startswith("union_tag"):
        return _wrong_role(_path((*where, "role")), error.get("ctx", {}))
    if where[:1] == ("messages",):
        where = (*where[:2], *where[3:])  # the third part is the role, which pydantic takes for a step of the path
    param = _path(where)
    if reason == "extra_forbidden":
        near = did_you_mean(str(where[-1]), kind.model_fields) if len(where) == 1 else None
        hint = f"; {near}" if near else ""
        return bad_request(f"unknown field '{param}'{hint}", param, "unknown_parameter")
    if reason == "missing":
        return bad_request(f"'{param}' is missing", param, "missing_required_parameter")
    code = "invalid_type" if reason.endswith("_type") else "invalid_value"
    return bad_request(f"{param}: {error['msg']}", param, code)


def _wrong_role(param: str, context: dict[str, Any]) -> ApiError:
    if "tag" not in context:
        return bad_request(f"'{param}' is missing", param, "missing_required_parameter")
    text = f"{param}: '{context['tag']}' is not a role; expected one of {context['expected_tags']}"
    return bad_request(text, param, "invalid_value")


def _path(parts: tuple[str | int, ...]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return text.removeprefix(".")
