"""A gang is followed to its end; what went wrong comes back as one error with the right class and the last words."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from bedplate.app.pipeline.contract.gangs import run_gang
from bedplate.app.pipeline.contract.standalone import standalone_context
from bedplate.app.pipeline.contract.step import StepContext
from bedplate.core.errors import CancelledError, IntegrityError, TaskError
from bedplate.core.reporter import CallbackReporter
from bedplate.core.workload import Gang, Resources, Task, TaskEvent


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def context(tmp_path: Path, said: list[str]) -> Iterator[StepContext]:
    def progress(done: float, total: float, unit: str) -> None:
        said.append(f"{done:g}/{total:g} {unit}")

    with standalone_context("step", tmp_path, CallbackReporter(on_say=said.append, on_progress=progress)) as context:
        yield context


def gang(entry: str, num_tasks: int = 1) -> Gang:
    task = Task(entry=f"tests.app.pipeline.contract.gang_entries:{entry}", resources=Resources(cpus=1))
    return Gang(name=entry.replace("_", "-"), tasks=(task,) * num_tasks)


def test_results_come_back_in_rank_order_and_progress_is_shown(context: StepContext, said: list[str]) -> None:
    num_tasks = min(2, context.engine.resources()[0].num_cores)
    status = run_gang(context.engine, gang("counts", num_tasks), context.reporter)
    assert [task.result for task in status.tasks] == [{"rank": rank} for rank in range(num_tasks)]
    assert "rank 0 is here" in said and "3/4 things" in said


def test_the_failing_rank_is_named_and_the_others_end(context: StepContext) -> None:
    if context.engine.resources()[0].num_cores < 2:
        pytest.skip("needs two cores")
    with pytest.raises(TaskError, match=r"rank 1 of 2.*division") as caught:
        run_gang(context.engine, gang("breaks_while_the_other_waits", 2), context.reporter)
    assert "about to divide" in str(caught.value)
    assert context.engine.statistics().tasks_running == 0


def test_an_error_keeps_its_class_across_processes(context: StepContext) -> None:
    with pytest.raises(IntegrityError, match=r"a shard is damaged; seen: ab; expected: cd; next: make it again"):
        run_gang(context.engine, gang("finds_damage"), context.reporter)


def test_a_cancelled_step_ends_its_gang(context: StepContext) -> None:
    def cancel_once_it_runs() -> None:
        if context.engine.statistics().tasks_running:
            raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        run_gang(context.engine, gang("waits"), CallbackReporter(on_check=cancel_once_it_runs))
    assert context.engine.statistics().tasks_running == 0


@pytest.mark.parametrize("entry", ["waits", "stops_at_sigterm"])
def test_a_task_ended_from_outside_has_failed(context: StepContext, entry: str) -> None:
    def end_it(_event: TaskEvent) -> None:
        (handle,) = context.engine.gangs()
        pid = context.engine.status(handle).tasks[0].pid
        assert pid is not None
        os.kill(pid, signal.SIGTERM)

    with pytest.raises(TaskError, match=r"SIGTERM|terminated from outside"):
        run_gang(context.engine, gang(entry), context.reporter, end_it)
