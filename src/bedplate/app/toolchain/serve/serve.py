"""Serve one model until stopped: one task of an engine, with a key and a KV memory in the user's folders."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from bedplate.app.pipeline.contract.gangs import run_gang
from bedplate.app.toolchain.serve.common import ENVIRONMENT, ModelInput, all_cores, find_model, kv_directory, kv_url
from bedplate.app.wiring import service_events
from bedplate.core.addresses import is_loopback
from bedplate.core.blocks import KV_STORE
from bedplate.core.clock import SystemClock
from bedplate.core.errors import BedplateError, CancelledError, UsageError
from bedplate.core.events.event import EventSink, Severity
from bedplate.core.events.kinds import ServiceStarted, ServiceStopped, make_event
from bedplate.core.files import create_file
from bedplate.core.messages import decode, encode
from bedplate.core.paths import state_home
from bedplate.core.reporter import CallbackReporter
from bedplate.core.settings import Range, settings
from bedplate.core.units import ByteCount, Count, Duration
from bedplate.core.workload import Gang, Task, TaskEvent
from bedplate.engines.base import Engine
from bedplate.toolchain.serve.settings import EngineSettings
from bedplate.toolchain.serve.task import ServerReady as ServerReady
from bedplate.toolchain.serve.task import ServeTask, check_key

DRAIN_S = 3.0
"""Running requests get this long to finish when the server stops; the engine kills it 5 s after the request to stop."""


@settings
class Settings:
    """What `bedplate serve` takes."""

    model: ModelInput
    """A model folder, or the name of a fetched model."""
    name: str | None = None
    """Name under which it is served; by default its folder's name."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Annotated[int, Range(0, 65535)] = 8000
    """Port to listen on; 0 takes a free one."""
    kv: str = "on"
    """KV memory: `on` (in the user's cache), `off`, or a URL like `kv:///var/kv?memory=1GB&disk=10GB`."""
    kv_memory: Annotated[ByteCount, Range(1)] = 2_000_000_000
    """KV of running requests."""
    api_key: str | None = None
    """API key that callers must send; by default your own, generated once and stored in the state folder."""
    auth: bool = True
    """Require an API key; without one the server listens on loopback addresses only."""
    max_batch: Annotated[Count, Range(1, 256)] = 8
    """Maximum number of concurrent requests."""
    queue_size: Annotated[Count, Range(1)] = 64
    """Maximum number of queued requests; further ones are answered with 429."""
    threads: Annotated[Count, Range(1)] | None = None
    """Threads of the linear algebra; by default as many of the cores as the model's operators can keep busy."""
    context_tokens: Annotated[Count, Range(2)] | None = None
    """Maximum tokens of prompt plus answer; by default what the model and `kv_memory` allow."""
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    """Number format of weights and KV."""
    request_timeout: Annotated[Duration, Range(0.001)] | None = None
    """Time after which a request ends unfinished; by default never."""
    control_tokens: Literal["never", "completions", "always"] = "completions"
    """Where control tokens written out in text take effect: in raw prompts only, in messages too, or never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """The key of a server."""

    key: str | None
    file: Path | None = None
    """Where it is kept; None for one that was given."""
    is_new: bool = False
    """Just made: the caller shows it, this once."""


def serve(
    settings: Settings,
    engine: Engine,
    key: ApiKey,
    on_ready: Callable[[ServerReady], None],
    is_stopped: Callable[[], bool],
) -> None:
    """Serve until `is_stopped`; `on_ready` is called once the server listens.

    Raises:
        NotFoundError: No such model.
        UnavailableError: The port or the KV store is in use.
        ResourcesError: The model does not fit.
        TaskError: The server ended by itself.
    """
    with service_events("serve") as events:
        model = find_model(settings.model)
        reason = "it exited without being asked to"
        try:
            _serve(settings, engine, model, key, events, on_ready, is_stopped)
            reason = "stopped on request"
        except BedplateError as error:
            reason = error.what
            raise
        finally:
            severity = Severity.INFO if is_stopped() else Severity.ERROR
            facts = ServiceStopped(reason=reason)
            events.emit(make_event(facts, at_s=SystemClock().now(), message=reason, severity=severity, source="serve"))


def _serve(
    settings: Settings,
    engine: Engine,
    model: Path,
    key: ApiKey,
    events: EventSink,
    on_ready: Callable[[ServerReady], None],
    is_stopped: Callable[[], bool],
) -> None:
    def report(event: TaskEvent) -> None:
        ready = decode(ServerReady, event.attributes)
        started = ServiceStarted(url=ready.url, model=ready.model)
        events.emit(make_event(started, at_s=SystemClock().now(), message=ready.url, source="serve"))
        on_ready(ready)

    def check_cancelled() -> None:
        if is_stopped():
            raise CancelledError("the server was stopped", next_step="bedplate serve starts it again")

    try:
        run_gang(
            engine,
            Gang(name="serve", tasks=(_task(settings, model, key, engine),)),
            CallbackReporter(on_check=check_cancelled),
            report,
        )
    except CancelledError:
        if not is_stopped():
            raise


def open_key(settings: Settings) -> ApiKey:
    """The key to ask callers for: the one given, none, or the user's own, made at first need and readable by them alone.

    Raises:
        UsageError: A key that no caller could send; or no key is wanted on an address that others can reach.
    """
    if not settings.auth:
        if not is_loopback(settings.host):
            raise UsageError(
                "a server without a key must not be reachable from other machines",
                seen=f"--no-auth with --host {settings.host}",
                expected="a loopback address",
                next_step="drop --no-auth, or listen on 127.0.0.1",
            )
        return ApiKey(key=None)
    if settings.api_key is not None:
        check_key(settings.api_key)
        return ApiKey(key=settings.api_key)
    return _own_key(state_home() / "api-key")


def _own_key(file: Path) -> ApiKey:
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        key = f"bp-{secrets.token_urlsafe(24)}"
        if create_file(file, key + "\n", mode=0o600):
            return ApiKey(key=key, file=file, is_new=True)
    key = file.read_text(encoding="utf-8", errors="replace").strip()
    try:
        check_key(key)
    except UsageError as error:
        raise UsageError(
            f"{file}: {error.what}", expected=error.expected, next_step=f"remove {file}: a new key is made at the next start"
        ) from error
    return ApiKey(key=key, file=file)


def _task(settings: Settings, model: Path, key: ApiKey, engine: Engine) -> Task:
    spec = ServeTask(
        model=str(model),
        name=settings.name or model.name,
        host=settings.host,
        port=settings.port,
        api_key=key.key,
        dtype=settings.dtype,
        engine=EngineSettings(
            max_batch=settings.max_batch,
            queue_size=settings.queue_size,
            threads=settings.threads,
            kv_memory=settings.kv_memory,
            context_tokens=settings.context_tokens,
        ),
        request_timeout=settings.request_timeout,
        drain=DRAIN_S,
        control_tokens=settings.control_tokens,
        parallel_choices=settings.max_batch,
    )
    return Task(
        entry="bedplate.workers.serve:main",
        spec=encode(spec),
        stores=_stores(settings, model),
        resources=all_cores(engine),
        environment=ENVIRONMENT,
    )


def _stores(settings: Settings, model: Path) -> Mapping[str, str]:
    if settings.kv == "off":
        return {}
    if settings.kv == "on":
        return {KV_STORE: kv_url(kv_directory(model), memory_bytes=1_000_000_000, disk_bytes=10_000_000_000)}
    return {KV_STORE: settings.kv}
