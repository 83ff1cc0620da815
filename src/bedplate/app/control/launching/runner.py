"""The process of one attempt of a job: `python -m bedplate.app.control.launching.runner ORDERS`.

It belongs to nobody: a service that is killed leaves it running, and the next one finds it by the lock that it holds. First it
takes that lock, then it asks the state whether its attempt is still wanted; so of two processes of one job at most one ever
works. At its end it says how it ended, and only then lets go of the lock.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bedplate.app.control.launching.job_files import Orders, read_orders
from bedplate.app.pipeline.file.reading import examine_pipeline
from bedplate.app.pipeline.run.attempt import RunPlace
from bedplate.app.pipeline.run.failure import error_as_json
from bedplate.app.pipeline.run.lock import holding
from bedplate.app.pipeline.run.outage import through_outages
from bedplate.app.pipeline.run.process import identity_as_json, this_process
from bedplate.app.pipeline.run.runner import run_pipeline
from bedplate.app.pipeline.run.watch import NullWatcher, RunWatcher
from bedplate.app.uses import USES
from bedplate.app.wiring import engine_factory, open_state, state_location
from bedplate.core.errors import BedplateError, CancelledError, UnavailableError
from bedplate.core.implements import implements
from bedplate.core.json import JsonObject
from bedplate.documents.reading import document_from
from bedplate.state.records import Status
from bedplate.state.store import StateStore

_LOCK_WAIT_S = 15.0
"""How long the process of an earlier attempt, which finds that it is not wanted, may take to leave."""


def main(file: Path) -> int:
    """Run the attempt that `file` describes; the exit code says little, the state everything."""
    orders = read_orders(file)
    with _locked(file.parent) as is_ours:
        if not is_ours:
            return UnavailableError.exit_code
        state = open_state(state_location(orders.state))
        try:
            if not state.jobs.claim_start(orders.job_id, orders.attempt, identity_as_json(this_process())):
                return 0
            outcome = _run(orders, state)
            through_outages(lambda: state.jobs.set_outcome(orders.job_id, orders.attempt, outcome), state.clock, _say)
        finally:
            state.close()
    return 0


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    deadline_s = time.monotonic() + _LOCK_WAIT_S
    while True:
        with holding(folder) as is_ours:
            if is_ours or time.monotonic() > deadline_s:
                yield is_ours
                return
        time.sleep(0.1)


def _run(orders: Orders, state: StateStore) -> JsonObject:
    try:
        outcome = _pipeline_outcome(orders, state)
    except BedplateError as error:
        status = Status.CANCELLED if isinstance(error, CancelledError) else Status.FAILED
        return _outcome(orders, status, error_as_json(error))
    except Exception as error:  # any error is the end of the job, and the scheduler must hear of it
        import traceback

        traceback.print_exc()
        unexpected = BedplateError("the job's process failed", seen=repr(error), next_step="see runner.log in its folder")
        return _outcome(orders, Status.FAILED, error_as_json(unexpected))
    return outcome


def _pipeline_outcome(orders: Orders, state: StateStore) -> JsonObject:
    document = document_from(orders.document, Path("/"))
    examined = examine_pipeline(document, {**USES, **orders.uses}, owner=orders.owner, file=orders.file)
    place = RunPlace(
        state=state,
        runs_folder=state.database.location.runs_folder,
        engine_name=orders.engine,
        open_engine=engine_factory(orders.engine, orders.only),
    )
    watcher = _Notes(orders, state)
    ended = run_pipeline(examined.complete(), place, watcher, new=orders.is_new_run)
    state.jobs.set_run(orders.job_id, orders.attempt, ended.run_id)
    lost = state.events.after(run_id=ended.run_id, kind="task.node_lost", limit=100_000)
    since_s = watcher.began_s
    return _outcome(
        orders, ended.status, error_as_json(ended.error), has_lost_node=any(event.at_s >= since_s for event in lost)
    )


def _outcome(orders: Orders, status: Status, error: JsonObject | None, *, has_lost_node: bool = False) -> JsonObject:
    return {"attempt": orders.attempt, "status": status.value, "error": error, "has_lost_node": has_lost_node}


class _Notes(NullWatcher):
    """Says which run it is as soon as that is known, and keeps the run's words in the job's own log."""

    def __init__(self, orders: Orders, state: StateStore) -> None:
        self._orders, self._state = orders, state
        self.began_s = state.clock.now()

    @implements(RunWatcher)
    def run_started(self, run_id: str, steps: tuple[str, ...], done: tuple[str, ...]) -> None:
        self._state.jobs.set_run(self._orders.job_id, self._orders.attempt, run_id)

    @implements(RunWatcher)
    def said(self, name: str, text: str) -> None:
        _say(f"{name}: {text}" if name else text)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main(Path(sys.argv[1])))
