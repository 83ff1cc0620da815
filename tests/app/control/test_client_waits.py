"""A client that waits for a job outlives a service that restarts, and no service that is gone for good."""

from __future__ import annotations

from typing import Any

import pytest

from bedplate.app.control.client import ControlClient
from bedplate.core.errors import UnavailableError

GONE = UnavailableError("no service answers")
RUNS, DONE = {"phase": "running", "why": ""}, {"phase": "done", "why": ""}


def waited(monkeypatch: pytest.MonkeyPatch, *answers: dict[str, Any] | Exception) -> dict[str, Any]:
    clock, left = [0.0], list(answers)

    def job(_: ControlClient, job_id: str) -> dict[str, Any]:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    monkeypatch.setattr(ControlClient, "job", job)
    monkeypatch.setattr("bedplate.app.control.client.time.sleep", sleep)
    monkeypatch.setattr("bedplate.app.control.client.time.monotonic", lambda: clock[0])
    return ControlClient(url="http://127.0.0.1:1", token="t").wait("j")


def test_a_restart_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert waited(monkeypatch, RUNS, *[GONE] * 100, RUNS, *[GONE] * 200, DONE) == DONE


@pytest.mark.parametrize("before", [(), (RUNS,)], ids=["never_there", "gone_for_good"])
def test_a_service_that_is_gone_is_not(monkeypatch: pytest.MonkeyPatch, before: tuple[dict[str, Any], ...]) -> None:
    with pytest.raises(UnavailableError):
        waited(monkeypatch, *before, GONE)
