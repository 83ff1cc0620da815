"""Looking at runs from another process: which there are, how they stand, what their tasks wrote, and asking one to end.

A run that the state calls running and whose lock nobody holds was killed: it is shown as failed, with the reason.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bedplate.app.pipeline.run.lock import LockHolder, holder_of
from bedplate.app.wiring import state_place
from bedplate.core.errors import NotFoundError, UnavailableError, check_known, did_you_mean
from bedplate.core.json import JsonObject
from bedplate.state.records import GangRecord, RunRecord, Status, StepRecord
from bedplate.state.store import StateStore

_LOOK_EVERY_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """One run as it stands now."""

    run: RunRecord
    steps: tuple[StepRecord, ...]
    directory: Path
    holder: LockHolder | None
    """The process that runs it; None: nobody does."""

    def as_json(self) -> JsonObject:
        """One entry of `ps -o json`."""
        return {
            "run_id": self.run.id,
            "name": self.run.name,
            "file": self.run.file,
            "status": self.run.status.value,
            "attempt": self.run.attempt,
            "engine": self.run.engine,
            "pid": self.holder.pid if self.holder else None,
            "created_at_s": self.run.created_at_s,
            "started_at_s": self.run.started_at_s,
            "ended_at_s": self.run.ended_at_s,
            "error": self.run.error,
            "directory": str(self.directory),
            "steps": [
                {
                    "name": step.name,
                    "use": step.use,
                    "status": step.status.value,
                    "seconds": step.seconds,
                    "attempts": step.attempts,
                    "progress": step.progress,
                    "error": step.error,
                }
                for step in self.steps
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskLog:
    """Where one task's output is."""

    gang: GangRecord
    rank: int
    path: Path


class Runs:
    """The runs of one state."""

    def __init__(self, state: StateStore, folder: Path) -> None:
        self.state, self._folder = state, folder

    def all(self) -> tuple[RunView, ...]:
        """Every run, the one that was started last first."""
        return tuple(self._view(run) for run in self.state.runs())

    def find(self, text: str) -> RunView:
        """The run that `text` means: its id, the beginning of it, a pipeline's name (its last run), or `last`.

        Raises:
            NotFoundError: None, or several that differ.
        """
        runs = self.state.runs()
        if not runs:
            raise NotFoundError("there is no run", next_step="start one with 'bedplate run FILE'")
        if text == "last":
            return self._view(runs[0])
        exact = [run for run in runs if run.id == text] or [run for run in runs if run.name == text]
        if exact:
            return self._view(exact[0])
        found = [run for run in runs if run.id.startswith(text)]
        if len(found) == 1:
            return self._view(found[0])
        ids = ", ".join(run.id for run in (found or runs)[:8])
        what = f"'{text}' fits several runs" if found else f"there is no run '{text}'"
        next_step = did_you_mean(text, [run.id for run in runs], "'bedplate ps' lists them")
        raise NotFoundError(what, expected=ids, next_step=next_step)

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
            for gang in self.state.gangs(view.run.id, step)
            for number in (range(gang.num_tasks) if rank is None else (rank,))
            if (path := view.directory / "engine" / str(gang.attempt) / gang.id / f"rank-{number}.log").exists()
        )

    def cancel(self, view: RunView, *, wait_s: float, force: bool) -> RunView:
        """Ask a run to end and wait until it has; with `force`, kill its process when it does not.

        What nobody runs is marked as cancelled when it was not finished; a finished run stays as it is.

        Raises:
            UnavailableError: It did not end in `wait_s`, or its process is on another machine and `force` is wanted.
        """
        run_id = view.run.id
        if view.holder is None:
            if view.run.status is not Status.DONE:
                self.state.end_run(run_id, Status.CANCELLED, None)
            return self.find(run_id)
        self.state.request_cancel(run_id)
        if not _wait_free(view.directory, wait_s):
            if not force:
                raise UnavailableError(
                    f"run {run_id} has not ended yet",
                    seen=f"process {view.holder.pid} after {wait_s:g} s",
                    next_step=f"wait, or 'bedplate cancel {run_id} --force'",
                )
            self._kill(view)
        return self.find(run_id)

    def _kill(self, view: RunView) -> None:
        holder = holder_of(view.directory)
        if holder is None:
            return
        if not holder.is_here or holder.pid <= 0:
            raise UnavailableError(
                "its process is on another machine", seen=f"{holder.pid} on {holder.host}", next_step="end it there"
            )
        os.kill(holder.pid, signal.SIGKILL)
        if not _wait_free(view.directory, 10.0):
            raise UnavailableError(f"process {holder.pid} survives SIGKILL", next_step="a driver or a file system holds it")
        self.state.end_run(view.run.id, Status.CANCELLED, None)

    def _view(self, run: RunRecord) -> RunView:
        directory = self._folder / run.id
        holder = holder_of(directory)
        steps = self.state.steps(run.id)
        if run.status is Status.RUNNING and holder is None:
            run = next(again for again in self.state.runs() if again.id == run.id)  # it may have ended between two looks
            steps = self.state.steps(run.id)
            if run.status is Status.RUNNING:
                run, steps = _killed(run, steps)
        return RunView(run=run, steps=steps, directory=directory, holder=holder)


@contextlib.contextmanager
def open_runs(state: str | None) -> Iterator[Runs | None]:
    """The runs of the state that `--state` names; None when nothing was ever stored there. Makes nothing."""
    place = state_place(state)
    store = StateStore.open_existing(place.url)
    try:
        yield None if store is None else Runs(store, place.runs_folder)
    finally:
        if store is not None:
            store.close()


def existing(runs: Runs | None) -> Runs:
    """`runs`, for a verb that needs one.

    Raises:
        NotFoundError: There is no state.
    """
    if runs is None:
        raise NotFoundError("there is no run", next_step="start one with 'bedplate run FILE', or name its place with --state")
    return runs


def _killed(run: RunRecord, steps: tuple[StepRecord, ...]) -> tuple[RunRecord, tuple[StepRecord, ...]]:
    error: JsonObject = {"error": "its process is gone without a word", "next": "the same 'bedplate run' goes on with it"}
    return replace(run, status=Status.FAILED, error=error), tuple(
        replace(step, status=Status.FAILED, error=error) if step.status is Status.RUNNING else step for step in steps
    )


def _wait_free(directory: Path, wait_s: float) -> bool:
    deadline_s = time.monotonic() + wait_s
    while holder_of(directory) is not None:
        if time.monotonic() >= deadline_s:
            return False
        time.sleep(_LOOK_EVERY_S)
    return True
