"""Submit one gang, follow it to its end, and turn what went wrong into one error that a person can act on.

For use cases that do not restart their workers: conversion, tokenising, evaluation, compression. A gang that may lose a
worker and continue (training) has its own loop over the same engine calls.

A worker's own error keeps its kind: an entry wrapped in `core.task.worker_errors` returns `{"error": …}` instead of raising,
and `run_gang` raises the same class here, so that exit codes and codes of the tree survive the process border.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from bedplate.core.errors import BedplateError, CancelledError, TaskError
from bedplate.core.reporter import Reporter
from bedplate.core.workload import ExitCause, Gang, GangStatus, TaskEvent, TaskEventKind, TaskState, TaskStatus
from bedplate.engines.base import Engine, GangHandle

LOG_TAIL_LINES = 12
WAIT_S = 0.25


def run_gang(
    engine: Engine, gang: Gang, reporter: Reporter, on_progress: Callable[[TaskEvent], None] | None = None
) -> GangStatus:
    """Run `gang` on `engine` to its end; the status has every task's result.

    Args:
        engine: Where it runs.
        gang: What to run.
        reporter: Shows progress; its cancellation ends the gang.
        on_progress: Called with each `progress` event. None: events with `done`, `total` and `unit` drive the step's
            bar, and `say` becomes a line for the person who watches.

    Raises:
        TaskError: A task ended badly; carries its last message and the end of its log. The others are cancelled.
        BedplateError: The class that the worker reported through `worker_errors`.
        CancelledError: Cancellation was requested.
    """
    handle = engine.submit(gang)
    try:
        _follow(engine, handle, reporter, on_progress or functools.partial(show_progress, reporter))
        status = engine.status(handle)
    finally:
        engine.cancel(handle)
    for task in status.tasks:
        raise_reported(task)
    return status


def _follow(engine: Engine, handle: GangHandle, reporter: Reporter, on_progress: Callable[[TaskEvent], None]) -> None:
    seen, running = 0, handle.num_tasks
    while running:
        reporter.check_cancelled()
        for event in engine.events(handle, after=seen, wait_s=WAIT_S):
            seen = event.sequence + 1
            if event.kind is TaskEventKind.PROGRESS:
                on_progress(event)
            elif event.kind is TaskEventKind.EXITED:
                running -= 1
                _raise_if_ended_badly(engine, handle, event)


def show_progress(reporter: Reporter, event: TaskEvent) -> None:
    """What `run_gang` does with a `progress` event where the caller has no other use for it."""
    attributes = event.attributes
    if "say" in attributes:
        reporter.say(str(attributes["say"]))
    done, total = attributes.get("done"), attributes.get("total")
    if isinstance(done, int | float) and isinstance(total, int | float):
        reporter.progress(float(done), float(total), str(attributes.get("unit", "")))


def _raise_if_ended_badly(engine: Engine, handle: GangHandle, event: TaskEvent) -> None:
    cause = str(event.attributes.get("cause", ""))
    if cause == ExitCause.FINISHED:
        return
    if cause == ExitCause.CANCELLED:
        raise CancelledError(f"{handle.name} was stopped", next_step="run the same command again to resume")
    task = next(item for item in engine.status(handle).tasks if item.rank == event.rank)
    tail = "\n".join(engine.logs(handle, event.rank).splitlines()[-LOG_TAIL_LINES:])
    raise TaskError(
        f"{handle.name}: rank {event.rank} of {handle.num_tasks} ended with '{cause}'",
        seen=task.message or f"exit code {task.exit_code}",
        next_step=f"its log ends with:\n{tail}" if tail else "it wrote no log",
    )


def raise_reported(task: TaskStatus) -> None:
    """Raise what a worker reported through `worker_errors`, with its class; nothing where it reported nothing.

    A worker that says it was cancelled, in a gang that nobody here cancelled, was ended by somebody else: that is a failure of
    the task, and not the end of the run that somebody asked for.

    Raises:
        TaskError: The worker was ended from outside.
        BedplateError: What the worker reported.
    """
    reported = (task.result or {}).get("error")
    if task.state is not TaskState.DONE or not isinstance(reported, dict):
        return
    error = BedplateError.from_json(reported)
    if isinstance(error, CancelledError):
        raise TaskError(
            f"rank {task.rank} was terminated from outside",
            seen=error.what,
            expected="no signal but the engine's own",
            next_step="find what sends signals to processes of this run (dmesg, a time limit), then run it again",
        )
    raise error
