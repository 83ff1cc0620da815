"""Generation: what an API server or a benchmark asks of an inference engine, whichever engine it is.

Log-probabilities are natural logarithms of the model's own distribution, before temperature and top-p change it, computed in
fp32. Asking for them never changes which tokens are generated.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

MAX_LOGPROBS = 20
"""Most alternatives whose log-probabilities a request may ask for at each position."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingSettings:
    """How the next token is chosen."""

    temperature: float = 0.0
    """Finite and at least 0; 0 is greedy."""
    top_p: float = 1.0
    """Share of probability mass that is sampled from, above 0 and at most 1."""
    seed: int | None = None
    """Same seed, same prompt, same settings: same tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """One prompt, already in tokens."""

    id: str
    prompt: tuple[int, ...]
    max_new_tokens: int = 16
    """At least 1; 0 only together with `prompt_logprobs`."""
    sampling: SamplingSettings = SamplingSettings()
    stop_tokens: tuple[int, ...] = ()
    tenant: str = ""
    """KV blocks are only shared within one tenant."""
    deadline_s: float | None = None
    """Seconds from submission after which the request ends with `deadline`."""
    logprobs: int | None = None
    """Report each generated token's log-probability and those of so many most likely tokens, 0 to 20; None: none."""
    prompt_logprobs: int | None = None
    """The same for each prompt token. The prompt is then computed, never loaded from a KV store."""


class FinishReason(enum.StrEnum):
    """Why generation ended."""

    STOP = "stop"
    LENGTH = "length"
    CANCELLED = "cancelled"
    DEADLINE = "deadline"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLogprobs:
    """How likely a token was where it stands, and which tokens were likeliest there."""

    token: int
    logprob: float
    """Natural logarithm, at most 0; minus infinity for a token that the model rules out."""
    top: tuple[tuple[int, float], ...] = ()
    """(token, log-probability) of as many as were asked for, likeliest first, of equals the smaller token first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedToken:
    """One step of one request's stream; the last one carries the finish reason."""

    token: int | None
    """None where the stream ends without a further token."""
    finish: FinishReason | None = None
    cached_tokens: int = 0
    """Prompt tokens whose KV was loaded instead of computed."""
    message: str = ""
    """What went wrong, with `error`."""
    logprobs: TokenLogprobs | None = None
    """Of `token`, or of the stop token that ended the stream, where the request asked for them."""
    prompt_logprobs: tuple[TokenLogprobs | None, ...] | None = None
    """One entry a prompt token, in the first step of the stream only; None for the first token, which nothing predicts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationStatistics:
    """Counters since the start, and the state now."""

    is_open: bool = True
    """Whether requests are taken; False once the engine was closed or has failed."""
    running: int = 0
    queued: int = 0
    finished: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0
    kv_blocks_used: int = 0
    kv_blocks_total: int = 0


class GenerationEngine(Protocol):
    """An inference engine. Thread-safe."""

    def submit(self, request: GenerationRequest) -> Iterator[GeneratedToken]:
        """Queue a request; the iterator blocks until its next token. Closing it cancels the request.

        Raises:
            UsageError: The prompt is empty or holds what is no token, or a setting is out of its range.
            ContextLengthError: It does not fit the model's context.
            QueueFullError: As many requests wait as the engine takes.
            UnavailableError: The engine is closed.
        """
        ...

    def cancel(self, request_id: str) -> None:
        """End a request; unknown ids are ignored."""
        ...

    def statistics(self) -> GenerationStatistics:
        """Counters since the start, and the state now."""
        ...

    def close(self) -> None:
        """Cancel what runs and release everything."""
        ...
