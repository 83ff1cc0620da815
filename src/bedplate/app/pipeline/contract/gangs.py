"""Submit one gang, follow it to its end, and turn what went wrong into one error that a person can act on.

For use cases that do not restart their workers: conversion, tokenising, evaluation, compression. A gang that may lose a
worker and go on (training) has its own loop over the same engine calls.

A worker's own error keeps its kind: an entry wrapped in `worker_errors` returns `{"error": …}` instead of raising, and
`run_gang` raises the same class here, so that exit codes and codes of the tree survive the process border.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

from bedplate.app.pipeline.contract.step import StepContext
from bedplate.core.errors import (
    BedplateError,
    CancelledError,
    CheckFailedError,
    ConfigurationError,
    IntegrityError,
    NotFoundError,
    ResourcesError,
    TaskError,
    UnavailableError,
    UsageError,
)
from bedplate.core.json import JsonObject
from bedplate.core.task import TaskContext
from bedplate.core.workload import ExitCause, Gang, GangStatus, TaskEvent, TaskEventKind, TaskState, TaskStatus
from bedplate.engines.base import Engine, GangHandle

LOG_TAIL_LINES = 12
WAIT_S = 0.25

_CROSSING: Mapping[str, type[BedplateError]] = {
    cls.code: cls
    for cls in (UsageError, NotFoundError, CheckFailedError, IntegrityError, UnavailableError, ResourcesError, CancelledError)
} | {ConfigurationError.code: UsageError}


def run_gang(context: StepContext, gang: Gang, on_progress: Callable[[TaskEvent], None] | None = None) -> GangStatus:
    """Run `gang` on the step's engine to its end; the status has every task's result.

    Args:
        context: The step that asks; cancellation of the step ends the gang.
        gang: What to run.
        on_progress: Called with each `progress` event. None: events with `done`, `total` and `unit` drive the step's
            bar, and `say` becomes a line for the person who watches.

    Raises:
        TaskError: A task ended badly; carries its last words and the end of its log. The others are cancelled.
        BedplateError: The class that the worker reported through `worker_errors`.
        CancelledError: Somebody asked for the end.
    """
    handle = context.engine.submit(gang)
    try:
        _follow(context, handle, on_progress or functools.partial(_show_progress, context))
        status = context.engine.status(handle)
    finally:
        context.engine.cancel(handle)
    for task in status.tasks:
        raise_reported(task)
    return status


def worker_errors(entry: Callable[[TaskContext], JsonObject]) -> Callable[[TaskContext], JsonObject]:
    """Wrap a worker's entry: an error of the tree becomes a result that `run_gang` raises again with its class."""

    @functools.wraps(entry)
    def wrapped(context: TaskContext) -> JsonObject:
        try:
            return entry(context)
        except BedplateError as error:
            return {"error": {key: None if value is None else str(value) for key, value in error.as_json().items()}}

    return wrapped


def _follow(context: StepContext, handle: GangHandle, on_progress: Callable[[TaskEvent], None]) -> None:
    seen, running = 0, handle.num_tasks
    while running:
        context.check_cancelled()
        for event in context.engine.events(handle, after=seen, wait_s=WAIT_S):
            seen = event.sequence + 1
            if event.kind is TaskEventKind.PROGRESS:
                on_progress(event)
            elif event.kind is TaskEventKind.EXITED:
                running -= 1
                _raise_if_ended_badly(context.engine, handle, event)


def _show_progress(context: StepContext, event: TaskEvent) -> None:
    attributes = event.attributes
    if "say" in attributes:
        context.say(str(attributes["say"]))
    done, total = attributes.get("done"), attributes.get("total")
    if isinstance(done, int | float) and isinstance(total, int | float):
        context.progress(float(done), float(total), str(attributes.get("unit", "")))


def _raise_if_ended_badly(engine: Engine, handle: GangHandle, event: TaskEvent) -> None:
    cause = str(event.attributes.get("cause", ""))
    if cause == ExitCause.FINISHED:
        return
    if cause == ExitCause.CANCELLED:
        raise CancelledError(f"{handle.name} was stopped", next_step="run the same command again to go on")
    task = next(item for item in engine.status(handle).tasks if item.rank == event.rank)
    tail = "\n".join(engine.logs(handle, event.rank).splitlines()[-LOG_TAIL_LINES:])
    raise TaskError(
        f"{handle.name}: rank {event.rank} of {handle.num_tasks} ended with '{cause}'",
        seen=task.message or f"exit code {task.exit_code}",
        next_step=f"its log ends with:\n{tail}" if tail else "it wrote no log",
    )


def raise_reported(task: TaskStatus) -> None:
    """Raise what a worker reported through `worker_errors`, with its class; nothing where it reported nothing."""
    reported = (task.result or {}).get("error")
    if task.state is not TaskState.DONE or not isinstance(reported, dict):
        return
    cls = _CROSSING.get(str(reported.get("code")), TaskError)
    next_step = reported.get("next")
    raise cls(
        str(reported.get("error")),
        seen=reported.get("seen"),
        expected=reported.get("expected"),
        next_step=None if next_step is None else str(next_step),
    )
