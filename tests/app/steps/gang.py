"""Runs a gang of small processes, and leaves a core out when told to."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from bedplate.app.pipeline.contract.gangs import run_gang
from bedplate.app.pipeline.contract.step import PlanContext, StepContext, StepResult
from bedplate.core.task import TaskContext
from bedplate.core.units import Duration
from bedplate.core.workload import Gang, Task
from bedplate.engines.base import CanExclude


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    exclude: bool = False
    """Leave the last core out of later placements."""
    size: int = 1
    """Tasks of the gang."""
    lasts: Duration = 0.0
    """How long each task takes."""


def plan(settings: Settings, context: PlanContext) -> Sequence[str]:
    node = context.engine.resources()[0]
    return [f"start {settings.size} of {node.num_cores} possible tasks"]


def run(settings: Settings, context: StepContext) -> StepResult:
    entry = "tests.app.steps.gang:work"
    tasks = tuple(
        Task(entry=entry, spec={"greeting": f"rank {rank}", "lasts": settings.lasts}) for rank in range(settings.size)
    )
    status = run_gang(context.engine, Gang(name=context.name, tasks=tasks), context.reporter)
    node = context.engine.resources()[0]
    cores = [list(task.cores) for task in status.tasks]
    if settings.exclude and isinstance(context.engine, CanExclude):
        context.engine.exclude(node.id, node.devices[0].cores[-1:], "the test says so")
    return StepResult(outputs={"cores": cores, "free": context.engine.resources()[0].num_cores})


def work(context: TaskContext) -> dict[str, object]:
    print(f"hello from {context.spec['greeting']}", flush=True)
    time.sleep(float(str(context.spec["lasts"])))
    context.progress(done=1, total=1, unit="greetings")
    return {"rank": context.rank}
