"""Waiting for the end of a job."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from bedplate.core.errors import UnavailableError
from bedplate.state.job_records import FINAL

_LOOK_EVERY_S = 0.5
_RESTART_S = 120.0
"""How long a service that answered before may be gone."""


def wait_for(
    look: Callable[[], dict[str, Any]], *, timeout_s: float | None, on_change: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """See `ControlClient.wait`; `look` gets the job from the service."""
    deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
    seen: tuple[str, str] | None = None
    answered_s = time.monotonic() - _RESTART_S  # it has to answer once
    while True:
        try:
            job = look()
            answered_s = time.monotonic()
        except UnavailableError:
            is_late = deadline_s is not None and time.monotonic() > deadline_s
            if is_late or time.monotonic() - answered_s >= _RESTART_S:
                raise
            time.sleep(_LOOK_EVERY_S)
            continue
        if (now := (job["phase"], job["why"])) != seen:
            seen = now
            on_change(job)
        if job["phase"] in FINAL or (deadline_s is not None and time.monotonic() > deadline_s):
            return job
        time.sleep(_LOOK_EVERY_S)
