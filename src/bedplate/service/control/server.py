"""The service's process: listens, serves, and ends cleanly.

SIGTERM or Ctrl-C: no more jobs are taken, the decision in hand is finished, the address file goes, jobs run on.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from bedplate.app.control.service import ControlService
from bedplate.app.control.up import Ready
from bedplate.app.pipeline.run.process import identity_as_json, this_process
from bedplate.core.addresses import is_loopback
from bedplate.core.errors import UsageError
from bedplate.service.control.application import create_application
from bedplate.service.control.handlers import Handlers
from bedplate.service.listening import listen

_MAX_REQUESTS = 200
"""At the same time; more are answered with 503."""


def serve(service: ControlService, on_ready: Callable[[Ready], None], is_stopped: threading.Event) -> None:
    """Serve until a signal, or until `is_stopped` is set.

    Args:
        service: What is served.
        on_ready: Called once it listens.
        is_stopped: Set by whoever wants the end.

    Raises:
        UnavailableError: The port is in use.
        UsageError: An address that others can reach.
    """
    settings = service.settings
    if not is_loopback(settings.host):
        raise UsageError(
            "the service listens on this machine's own addresses only: tokens would travel in the clear",
            seen=settings.host,
            expected="127.0.0.1, ::1 or localhost",
            next_step="put a proxy with TLS before it, and name that by --allow-host",
        )
    with listen(settings.host, settings.port) as listener:
        handlers = Handlers(service)
        allowed = tuple(name.lower() for name in settings.allow_host)
        server = _Server(create_application(handlers, allowed), handlers, is_stopped)
        host, port = listener.getsockname()[:2]
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        service.files.write_address({"url": url, "holder": identity_as_json(this_process())})
        try:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup: stays ignored
                    signal.signal(number, lambda _number, _frame: is_stopped.set())
            on_ready(Ready(url=url, token=service.token, token_file=service.files.token_file, pid=os.getpid()))
            server.run(sockets=[listener])
        finally:
            service.files.remove_address()


class _Server(uvicorn.Server):  # type: ignore[misc]  # uvicorn is optional and thus untyped
    """uvicorn that leaves signals alone, and ends when an event is set."""

    def __init__(self, application: FastAPI, handlers: Handlers, is_stopped: threading.Event) -> None:
        super().__init__(
            uvicorn.Config(
                application,
                log_level="warning",
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=5,
                limit_concurrency=_MAX_REQUESTS,
            )
        )
        self._handlers, self._is_stopped = handlers, is_stopped

    def install_signal_handlers(self) -> None:
        """Of older uvicorns: ours stay."""

    def capture_signals(self) -> threading.Lock:
        """Of newer ones: ours stay; a context manager is wanted."""
        return threading.Lock()

    async def on_tick(self, counter: int) -> bool:
        """Whether to end, asked ten times a second."""
        if self._is_stopped.is_set():
            self._handlers.is_stopping = True
            self.should_exit = True
        return bool(await super().on_tick(counter))
