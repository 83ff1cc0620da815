"""Settings of the API server."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from bedplate.core.settings import Range, settings
from bedplate.core.units import ByteCount, Count, Duration

ControlTokens: TypeAlias = Literal["never", "completions", "always"]
"""Where control tokens such as `<|im_end|>` that are written out in a text act as such."""


@settings
class ServerSettings:
    """What is served, and who may use it."""

    model: str
    """Name under which the model is served."""
    context_tokens: Annotated[Count, Range(2)]
    """Longest prompt plus answer."""
    api_key: str | None = None
    """Key that callers must send; None answers programs on this machine without one."""
    max_body: Annotated[ByteCount, Range(1)] = 8_000_000
    """Largest request body, in bytes."""
    request_timeout: Annotated[Duration, Range(0.001)] | None = None
    """Seconds after which a request ends unfinished; None: never."""
    control_tokens: ControlTokens = "completions"
    """`completions`: a raw prompt may contain control tokens, a message may not; `always`, `never`: both or none."""
    parallel_choices: Annotated[Count, Range(1)] = 8
    """Choices of one request that the engine runs at a time."""
