"""One run as `ps`, the HTTP API and the console show it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bedplate.app.pipeline.run.process import ProcessIdentity
from bedplate.core.json import JsonObject
from bedplate.state.records import GangRecord, RunRecord, StepRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """One run as it stands now."""

    run: RunRecord
    steps: tuple[StepRecord, ...]
    directory: Path
    holder: ProcessIdentity | None
    """The process that runs it; None: none does."""

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
            "host": self.holder.host if self.holder else None,
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
