"""Starts a gang and forgets it."""

from collections.abc import Sequence
from dataclasses import dataclass

from bedplate.app.pipeline.contract.step import PlanContext, StepContext, StepResult
from bedplate.core.workload import Gang, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """None."""


def plan(settings: Settings, context: PlanContext) -> Sequence[str]:
    return ["start a gang and leave it running"]


def run(settings: Settings, context: StepContext) -> StepResult:
    task = Task(entry="tests.app.steps.gang:work", spec={"greeting": "the forgotten", "lasts": 600})
    context.engine.submit(Gang(name="forgotten", tasks=(task,)))
    return StepResult()
