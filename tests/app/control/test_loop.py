"""The scheduler's thread says that it hangs, or that it is gone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, cast

import pytest

from bedplate.app.control.controller import Controller
from bedplate.app.control.loop import SchedulerLoop
from bedplate.core.errors import BedplateError


class OneStep:
    """A controller whose passes do one thing."""

    def __init__(self, step: Callable[[], None]) -> None:
        self.step = step


def lost(error: BedplateError) -> None:
    raise AssertionError(error)


def started(step: Callable[[], Any]) -> SchedulerLoop:
    loop = SchedulerLoop(cast(Controller, OneStep(step)), 0.01, lost)
    assert loop.error is None
    loop.start()
    return loop


def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert condition()


def test_a_pass_that_hangs_is_an_error_until_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bedplate.app.control.loop._LATE_S", 0.1)
    go_on = threading.Event()
    loop = started(go_on.wait)
    until(lambda: "hangs" in str(loop.error))
    go_on.set()
    until(lambda: loop.error is None)
    loop.close()
    assert loop.error is None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_is_gone_is_an_error() -> None:
    def step() -> None:
        raise SystemExit

    loop = started(step)
    until(lambda: "has ended" in str(loop.error))
    loop.close()
