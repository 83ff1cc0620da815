"""Settings of the door."""

from __future__ import annotations

from typing import Annotated

from bedplate.core.settings import Range, settings
from bedplate.core.units import ByteCount, Count, Duration


@settings
class ServerSettings:
    """What the door serves, and to whom."""

    model: str
    """Name under which the model is served."""
    context_tokens: Annotated[Count, Range(2)]
    """Longest prompt plus answer."""
    api_key: str | None = None
    """Key that callers must send; None lets everybody in."""
    max_body: Annotated[ByteCount, Range(1)] = 8_000_000
    """Largest request body, in bytes."""
    request_timeout: Duration | None = None
    """Seconds after which a request ends unfinished; None: never."""
