"""`bedplate up`: the service of a state, in the foreground or left behind."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bedplate.app.control.addresses import ServiceFiles
from bedplate.app.control.service import ControlService, running_service
from bedplate.app.control.settings import ServiceSettings
from bedplate.app.wiring import state_location
from bedplate.core.errors import BedplateError, UnavailableError

_SERVER = "bedplate.service.control.server:serve"
"""What listens; loaded here, since what serves is above what is served."""
_STOP_JOBS_S = 60.0
"""What jobs get, beyond their own grace, when the service takes them with it."""
_DETACH_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """What people need to know of a service that listens."""

    url: str
    token: str | None
    """The first admin's new token; None where it was made before."""
    token_file: Path
    pid: int
    """The process that listens."""


class _Serve(Protocol):
    def __call__(self, service: ControlService, on_ready: Callable[[Ready], None], is_stopped: threading.Event) -> None: ...


def up(
    settings: ServiceSettings,
    *,
    engine: str,
    state: str | None,
    uses: Mapping[str, str],
    renew_token: bool,
    stop_jobs: bool,
    on_ready: Callable[[Ready], None],
) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Args:
        settings: Limits and intervals.
        engine: Where jobs run, as a URL.
        state: What `--state` says.
        uses: Use cases of the operator's own.
        renew_token: Make another token for the first admin.
        stop_jobs: At the end, let jobs save what they have and end; they wait, and resume with the next service.
        on_ready: Called once it listens.

    Raises:
        UnavailableError: Another scheduler has this state, or took it over; or the port, the state or the engine cannot be had.
        UsageError: Options that cannot be meant.
    """
    is_stopped, lost = threading.Event(), list[BedplateError]()

    def on_lost(error: BedplateError) -> None:
        lost.append(error)
        is_stopped.set()

    with running_service(settings, engine=engine, state=state, uses=uses, renew_token=renew_token, on_lost=on_lost) as service:
        _load_server()(service, on_ready, is_stopped)
        if stop_jobs and not lost:
            service.loop.close()
            if left := service.stop_jobs(_STOP_JOBS_S):
                raise UnavailableError(
                    f"{left} jobs have not ended yet",
                    expected="all ended",
                    next_step="they are asked to: 'bedplate ps' shows them",
                )
    if lost:
        raise lost[0]


def up_detached(arguments: list[str], state: str | None) -> Ready:
    """The same in a process of its own that outlives this one; returns once it listens.

    Args:
        arguments: Of `bedplate up`, without those that detach it.
        state: What `--state` says.

    Raises:
        UnavailableError: It did not come up; names its log.
    """
    files = ServiceFiles.of(state_location(state))
    files.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = files.folder / "service.log"
    before = files.token()
    with open(log, "ab", opener=lambda path, flags: os.open(path, flags | os.O_CLOEXEC, 0o600)) as stream:
        start = stream.tell()
        process = subprocess.Popen(
            [sys.executable, "-m", "bedplate", "up", *arguments, "--output", "json"],  # so is an error: see `_error_in`
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # says the token
            stderr=stream,
            start_new_session=True,
        )
    deadline_s = time.monotonic() + _DETACH_S
    while process.poll() is None and time.monotonic() < deadline_s:
        url = files.url()
        if url is not None and files.pid() == process.pid:
            token = files.token()
            return Ready(url=url, token=token if token != before else None, token_file=files.token_file, pid=process.pid)
        time.sleep(0.1)
    process.terminate()
    with log.open("rb") as stream:
        stream.seek(start)
        said = stream.read(4_000).decode(errors="replace").strip()
    raise _error_in(said) or UnavailableError(
        "the service did not come up",
        seen=said or "no word",
        expected=f"an address within {_DETACH_S:g} s",
        next_step=f"see {log}",
    )


def _error_in(said: str) -> BedplateError | None:
    """The error that a service ended with, from the last line that it wrote."""
    with contextlib.suppress(ValueError, IndexError):
        document = json.loads(said.splitlines()[-1])
        if isinstance(document, dict) and "code" in document:
            return BedplateError.from_json(document)
    return None


def _load_server() -> _Serve:
    module, _, name = _SERVER.partition(":")
    try:
        serve: _Serve = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise UnavailableError(
            "the service's web server is not installed", seen=error, next_step="pip install 'bedplate[serve]'"
        ) from error
    return serve
