"""Processes of jobs that do what a test says, one call at a time; they write into the state what real ones do."""

from bedplate.app.control.scheduling.requests import Placed
from bedplate.state.job_records import JobRecord, Phase
from bedplate.state.store import StateStore


class FakeLauncher:
    """See `app/control/launching/launcher.Launcher`."""

    def __init__(self, state: StateStore) -> None:
        self._state = state
        self.attempts: dict[str, int] = {}
        """Attempt that the living process of each job is of."""
        self.launched: list[tuple[str, int]] = []
        self.asked: list[str] = []
        self.killed: list[str] = []
        self.placed: dict[str, Placed] = {}

    def launch(self, job: JobRecord, placed: Placed) -> None:
        assert job.id not in self.attempts, "two processes of one job"
        self.attempts[job.id] = job.attempt
        self.placed[job.id] = placed
        self.launched.append((job.id, job.attempt))

    def is_alive(self, job_id: str) -> bool:
        return job_id in self.attempts

    def ask_to_end(self, job_id: str) -> None:
        self.asked.append(job_id)

    def kill(self, job_id: str) -> None:
        self.killed.append(job_id)
        self.vanish(job_id)

    def come_up(self, job_id: str) -> bool:
        return self._state.jobs.claim_start(job_id, self.attempts[job_id], {"pid": 1})

    def end(self, job_id: str, status: Phase = Phase.DONE, **more: object) -> None:
        attempt = self.attempts[job_id]
        self._state.jobs.set_outcome(job_id, attempt, {"attempt": attempt, "status": status.value, "error": None, **more})  # type: ignore[dict-item]
        self.vanish(job_id)

    def vanish(self, job_id: str) -> None:
        self.attempts.pop(job_id, None)
