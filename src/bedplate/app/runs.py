"""Looking at runs from another process: which there are, how they stand, what their tasks wrote, and asking one to end.

A run that the state calls running and whose lock no process holds was killed: it is shown as failed, with the reason.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from bedplate.app.pipeline.run.lock import UNKNOWN, holder_of
from bedplate.app.pipeline.run.process import ProcessIdentity, identity_from_json, kill
from bedplate.app.run_view import RunView as RunView
from bedplate.app.run_view import TaskLog as TaskLog
from bedplate.app.wiring import state_location
from bedplate.core.errors import NotFoundError, UnavailableError, check_known, did_you_mean
from bedplate.core.events.event import Subject
from bedplate.core.json import JsonObject
from bedplate.state.events import PAGE as EVENTS_PAGE
from bedplate.state.records import EventRecord as EventRecord
from bedplate.state.records import RunRecord, Status
from bedplate.state.records import StepRecord as StepRecord
from bedplate.state.store import StateStore

_LOOK_EVERY_S = 0.1
_NAMED_IN_ERRORS = 8
PAGE = 100
"""Runs that are listed where nothing else is asked for."""


class Runs:
    """The runs of one state."""

    def __init__(self, state: StateStore, folder: Path) -> None:
        self.state, self._folder = state, folder

    def page(self, limit: int = PAGE, before: str | None = None) -> tuple[RunView, ...]:
        """At most `limit` runs, the one that was started last first; a handful of queries, however many there are.

        Args:
            limit: Runs at most.
            before: Id of the last run of the page before; None: the first page.

        Raises:
            NotFoundError: There is no run `before`.
        """
        last = None if before is None else self.find(before).run
        return self._views(self.state.runs.page(limit, last))

    def find(self, text: str) -> RunView:
        """The run that `text` means: its id, the beginning of it, a pipeline's name (its last run), or `last`.

        Raises:
            NotFoundError: None, or several that differ.
        """
        newest = self.state.runs.page(1)
        if not newest:
            raise NotFoundError("there is no run", next_step="start one with 'bedplate run FILE'")
        found = newest[0] if text == "last" else self.state.runs.get(text) or self.state.runs.named(text)
        if found is not None:
            return self._view(found)
        fitting = self.state.runs.starting_with(text, _NAMED_IN_ERRORS)
        if len(fitting) == 1:
            return self._view(fitting[0])
        known = [run.id for run in fitting or self.state.runs.page(PAGE)]
        what = f"'{text}' matches several runs" if fitting else f"there is no run '{text}'"
        next_step = did_you_mean(text, known, "'bedplate ps' lists them")
        raise NotFoundError(what, expected=", ".join(known[:_NAMED_IN_ERRORS]), next_step=next_step)

    def events(
        self, after: int = 0, *, run_id: str | None, subject: Subject | None, kind: str | None, limit: int | None
    ) -> Iterator[EventRecord]:
        """Events with a number above `after`, in order, read in pages; see `EventStore.after`.

        Args:
            after: What the reader has seen; 0: nothing.
            run_id: Only events in this run.
            subject: Only events about it.
            kind: Only this kind, or all below it.
            limit: Events at most; None: all that there are now.
        """
        left = limit
        while left is None or left > 0:
            size = EVENTS_PAGE if left is None else min(left, EVENTS_PAGE)
            page = self.state.events.after(after, run_id=run_id, subject=subject, kind=kind, limit=size)
            yield from page
            if len(page) < size:
                return
            after, left = page[-1].number, None if left is None else left - len(page)

    def logs(self, view: RunView, step: str | None, rank: int | None) -> tuple[TaskLog, ...]:
        """Logs of the run's tasks, in the order in which they were started.

        Raises:
            NotFoundError: The run has no such step.
        """
        names = [item.name for item in view.steps]
        if step is not None:
            check_known(step, names, f"run {view.run.id} has no step", error=NotFoundError)
        return tuple(
            TaskLog(gang=gang, rank=number, path=path)
            for gang in self.state.gangs.of_run(view.run.id, step)
            for number in (range(gang.num_tasks) if rank is None else (rank,))
            if (path := view.directory / "engine" / str(gang.attempt) / gang.id / f"rank-{number}.log").exists()
        )

    def cancel(self, view: RunView, *, wait_s: float, force: bool) -> RunView:
        """Ask a run to end and wait until it has; with `force`, kill its process when it does not.

        A run that no process works on is marked as cancelled unless it is done.

        Raises:
            UnavailableError: It did not end in `wait_s`, or `force` is wanted and its process cannot be reached.
        """
        run_id = view.run.id
        if view.holder is None:
            if view.run.status is not Status.DONE:
                self.state.runs.finish(run_id, Status.CANCELLED, None)
            return self.find(run_id)
        self.state.runs.request_cancel(run_id)
        if not self._wait_free(run_id, wait_s):
            if not force:
                raise UnavailableError(
                    f"run {run_id} has not ended yet",
                    seen=f"{view.holder} after {wait_s:g} s",
                    next_step=f"wait, or 'bedplate cancel {run_id} --force'",
                )
            self._kill(run_id)
        return self.find(run_id)

    def _kill(self, run_id: str) -> None:
        if (holder := self._holder(run_id)) is None:
            return
        kill(holder)
        if not self._wait_free(run_id, 10.0):
            raise UnavailableError(
                f"{holder} survived SIGKILL, or a process that it started still holds the run's lock",
                next_step="check what blocks it: a hung driver or file system, or a forked process",
            )
        self.state.runs.finish(run_id, Status.CANCELLED, None)

    def _wait_free(self, run_id: str, wait_s: float) -> bool:
        deadline_s = self.state.clock.now() + wait_s
        while self._holder(run_id) is not None:
            if self.state.clock.now() >= deadline_s:
                return False
            self.state.clock.wait(_LOOK_EVERY_S)
        return True

    def _holder(self, run_id: str) -> ProcessIdentity | None:
        run = self.state.runs.get(run_id)
        return None if run is None else self._holders((run,)).get(run_id)

    def _holders(self, runs: Sequence[RunRecord]) -> dict[str, ProcessIdentity]:
        found = {run.id: holder for run in runs if (holder := holder_of(self._folder / run.id)) is not None}
        held_elsewhere = self.state.locks.held([run.id for run in runs if run.id not in found])
        return found | {run.id: identity_from_json(run.holder) or UNKNOWN for run in runs if run.id in held_elsewhere}

    def _view(self, run: RunRecord) -> RunView:
        return self._views((run,), look_at_all=True)[0]

    def _views(self, runs: Sequence[RunRecord], *, look_at_all: bool = False) -> tuple[RunView, ...]:
        """Views of `runs`; locks are looked at where a run may be under way, or everywhere."""
        open_ones = [run for run in runs if look_at_all or run.status in (Status.RUNNING, Status.WAITING)]
        holders = self._holders(open_ones)
        unheld = tuple(run.id for run in runs if run.status is Status.RUNNING and run.id not in holders)
        ended_since = {run.id: run for run in self.state.runs.by_ids(unheld)}  # between the two looks
        runs = [ended_since.get(run.id, run) for run in runs]
        steps = self.state.steps.of_runs([run.id for run in runs])
        return tuple(self._seen(run, steps[run.id], holders.get(run.id)) for run in runs)

    def _seen(self, run: RunRecord, steps: tuple[StepRecord, ...], holder: ProcessIdentity | None) -> RunView:
        if run.status is Status.RUNNING and holder is None:
            run, steps = _lost(run, steps)
        return RunView(run=run, steps=steps, directory=self._folder / run.id, holder=holder)


def event_as_json(event: EventRecord) -> JsonObject:
    """One entry of `events -o json`, and of the service's list of events."""
    return {
        "number": event.number,
        "subject": {"kind": event.subject.kind.value, "id": event.subject.id},
        "run_id": event.run_id,
        "step": event.step,
        "kind": event.kind,
        "at_s": event.at_s,
        "severity": event.severity,
        "source": event.source,
        "message": event.message,
        "attributes": event.attributes,
    }


@contextlib.contextmanager
def open_runs(state: str | None) -> Iterator[Runs | None]:
    """The runs of the state that `--state` names; None when nothing was ever stored there. Makes nothing."""
    location = state_location(state)
    store = StateStore.open_existing(location)
    try:
        yield None if store is None else Runs(store, location.runs_folder)
    finally:
        if store is not None:
            store.close()


def existing(runs: Runs | None) -> Runs:
    """`runs`, for a verb that needs one.

    Raises:
        NotFoundError: There is no state.
    """
    if runs is None:
        raise NotFoundError("there is no run", next_step="start one with 'bedplate run FILE', or point --state to its place")
    return runs


def _lost(run: RunRecord, steps: tuple[StepRecord, ...]) -> tuple[RunRecord, tuple[StepRecord, ...]]:
    error: JsonObject = {
        "error": "its process exited without recording a result",
        "next": "run the same command again to resume it",
    }
    return replace(run, status=Status.FAILED, error=error), tuple(
        replace(step, status=Status.FAILED, error=error) if step.status is Status.RUNNING else step for step in steps
    )
