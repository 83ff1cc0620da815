"""What an attempt does for its run while steps work: it keeps the lock, looks for a request to end, and stores progress."""

from __future__ import annotations

import math
from collections.abc import Callable

from bedplate.app.pipeline.run.cancellation import Cancellation
from bedplate.app.pipeline.run.watch import RunWatcher
from bedplate.state.database.locks import RunLock
from bedplate.state.store import StateStore


class Upkeep:
    """The jobs of a run's ticker that concern the state. Progress may come from any thread."""

    def __init__(
        self, state: StateStore, run_id: str, attempt: int, lock: RunLock, cancellation: Cancellation, watcher: RunWatcher
    ) -> None:
        self._state, self._run_id, self._attempt = state, run_id, attempt
        self._lock, self._cancellation, self._watcher = lock, cancellation, watcher
        self._progress: tuple[str, float, float, str] | None = None
        self._is_cancel_reported = False

    def jobs(self) -> tuple[Callable[[], None], ...]:
        """What is to be called at every tick; each may raise `UnavailableError`, and is tried again."""
        return self._keep_lock, self._look_for_cancel, self._store_progress

    def take_progress(self, step: str, done: float, total: float, unit: str) -> None:
        """Show how far the running step is, and store it at the next tick; numbers that are not finite are ignored."""
        if math.isfinite(done) and math.isfinite(total):
            self._progress = (step, done, total, unit)
            self._watcher.step_progressed(step, done, total, unit)

    def end_step(self) -> None:
        """There is no progress to store any more."""
        self._progress = None

    def _keep_lock(self) -> None:
        if not self._lock.take():
            self._cancellation.request("another process took over this run while the state could not be reached")

    def _look_for_cancel(self) -> None:
        if self._state.runs.is_cancel_requested(self._run_id, self._attempt):
            self._cancellation.request("bedplate cancel")
        if (why := self._cancellation.why) and not self._is_cancel_reported:
            self._is_cancel_reported = True
            self._watcher.said("", f"{why}: ending cleanly; Ctrl-C again ends it immediately")

    def _store_progress(self) -> None:
        if (progress := self._progress) is not None:
            step, done, total, unit = progress
            self._state.steps.set_progress(self._run_id, step, {"done": done, "total": total, "unit": unit})
