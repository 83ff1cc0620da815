"""Says that it is there, then waits until somebody makes a file: a step that a test can catch in the middle."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bedplate.app.pipeline.contract.step import PlanContext, StepContext, StepResult
from bedplate.core.errors import TaskError
from bedplate.core.events.kinds import event_kind, make_event


@event_kind("gate.waiting")
@dataclass(frozen=True, slots=True, kw_only=True)
class GateWaiting:
    """The step waits for the file."""

    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    opens: str
    """File that lets the step end."""
    deaf: bool = False
    """Whether it never looks for a request to end."""


def plan(settings: Settings, context: PlanContext) -> Sequence[str]:
    return [f"wait for {settings.opens}"]


def run(settings: Settings, context: StepContext) -> StepResult:
    attempts = context.directory / "attempts.txt"
    with attempts.open("a") as file:
        file.write(f"{os.getpid()}\n")
    num_attempts = len(attempts.read_text().split())
    waiting = GateWaiting(attempt=num_attempts)
    context.events.emit(make_event(waiting, at_s=context.clock.now(), message=f"attempt {num_attempts}"))
    context.reporter.progress(num_attempts, 10, "attempts")
    deadline_s = time.monotonic() + 60
    while not Path(settings.opens).exists():
        if not settings.deaf:
            context.reporter.check_cancelled()
        if time.monotonic() > deadline_s:
            raise TaskError("nobody opened the gate", seen=settings.opens)
        time.sleep(0.02)
    return StepResult(path=attempts, outputs={"attempts": num_attempts})
