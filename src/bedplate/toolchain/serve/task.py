"""What a serving process is to do, and what it reports: the messages between the control process and the worker."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from bedplate.core.addresses import is_loopback
from bedplate.core.errors import UsageError
from bedplate.core.settings import Range, settings
from bedplate.core.units import ByteCount, Count, Duration
from bedplate.toolchain.serve.settings import EngineSettings


@settings
class ServeTask:
    """The spec of a serving task.

    Raises:
        UsageError: The key could never be sent, or there is none and others could reach the server.
    """

    model: str
    """Folder of the model."""
    name: str
    """Name under which it is served."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Annotated[int, Range(0, 65535)] = 0
    """Port to listen on; 0 takes a free one."""
    api_key: str | None = None
    """Key that callers must send; None answers programs on this machine without one."""
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    """Number format of weights and KV."""
    engine: EngineSettings = field(default_factory=EngineSettings)
    """Settings of the built-in engine."""
    request_timeout: Annotated[Duration, Range(0.001)] | None = None
    """Seconds after which a request ends unfinished; None: never."""
    max_body: Annotated[ByteCount, Range(1)] = 8_000_000
    """Largest request body, in bytes."""
    drain: Duration = 10.0
    """Seconds that running requests get to finish when the server stops."""
    control_tokens: Literal["never", "completions", "always"] = "completions"
    """Where control tokens spelled out in a text take effect: nowhere, in raw prompts only, or in messages too."""
    parallel_choices: Annotated[Count, Range(1)] = 8
    """Choices of one request that the engine runs at a time."""

    def __post_init__(self) -> None:
        if self.api_key is not None:
            check_key(self.api_key)
        elif not is_loopback(self.host):
            raise UsageError(
                "a server without a key is for this machine only",
                seen=f"no key, and host {self.host}",
                expected="a loopback address",
                next_step="drop --no-auth, or listen on 127.0.0.1",
            )


def check_key(key: str) -> None:
    """Refuse a key that no client can send: HTTP headers carry visible ASCII, and blanks around a value are cut off.

    Raises:
        UsageError: The key is empty, or has blanks or characters outside ASCII.
    """
    if key and key.isascii() and key.isprintable() and " " not in key:
        return
    raise UsageError(
        "the API key is empty" if not key.strip() else "the API key contains blanks or characters outside visible ASCII",
        seen=f"{len(key)} characters",
        expected="visible ASCII characters without blanks",
        next_step="choose another key, or omit it to have one generated",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerReady:
    """Reported as progress once the server listens."""

    url: str
    """Where clients connect to; the API is under `/v1`."""
    port: int
    model: str
    """Name under which the model is served."""
    context_tokens: int
    """Longest prompt plus answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeResult:
    """What the task returns once the server was stopped."""

    requests_finished: int
