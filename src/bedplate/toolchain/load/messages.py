"""Messages between a load client, the worker that runs it, and the step that started it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """What a client plays."""

    url: str
    """Of an OpenAI-compatible server, with or without `/v1`."""
    model: str
    """Name of the model at that server."""
    api_key: str = ""
    streams: int
    """Concurrent conversations."""
    output_tokens: int
    """Tokens of each answer."""
    conversations: tuple[tuple[tuple[int, ...], ...], ...]
    """Tokens that each turn of each conversation adds."""
    warm_up: tuple[int, ...]
    """A prompt that is sent first and not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestResult:
    """One answered request."""

    conversation: int
    turn: int
    prompt_tokens: int
    cached_tokens: int | None
    """Prompt tokens that the server loaded instead of computing; None where it does not report this."""
    tokens: tuple[int, ...]
    """Of the answer; empty where the server does not name them."""
    num_tokens: int
    """Length of the answer."""
    first_token_s: float
    """From sending the request to its first token."""
    per_token_s: float | None
    """Mean time of each further token; None with one token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadResult:
    """A load that was played to completion."""

    kind: Literal["result"] = "result"
    engine: str
    """What served it: `bedplate`, or what a peer calls itself."""
    seconds: float
    """From the first request to the last answer."""
    requests: tuple[RequestResult, ...]
    """By conversation and turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadProgress:
    """How many requests are answered."""

    kind: Literal["progress"] = "progress"
    done: int
    total: int
    unit: str = "requests"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadFailure:
    """A request was refused or failed, and the load was abandoned."""

    kind: Literal["failure"] = "failure"
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadLine:
    """One line of the client's output."""

    message: LoadProgress | LoadResult | LoadFailure
