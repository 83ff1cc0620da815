"""The real service in a process of its own, with the use cases of the tests, over a state that a test owns."""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bedplate.app.control.client import ControlClient, connect
from tests.command_line import USES, CommandLine, ended, wait_until


class LiveService:
    """`bedplate up` on a free port. `kill` is `kill -9`; `start` again is what an operator would do then."""

    def __init__(self, command_line: CommandLine, *options: object, state: str | None = None) -> None:
        self.command_line, self.options = command_line, options
        self._state = state or str(command_line.state)
        self.process: subprocess.Popen[str] | None = None
        self.started: list[dict[str, Any]] = []

    @property
    def jobs_folder(self) -> Path:
        return self.command_line.state / "control" / "jobs"

    def start(self) -> ControlClient:
        environment = {"BEDPLATE_STATE": self._state, "BEDPLATE_URL": "", "BEDPLATE_TOKEN": ""}
        self.process = self.command_line.start(
            "up", "--port", 0, "-o", "json", "--pass-every", "100ms", *self.options, environment=environment
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, ended(self.process)
        self.started.append(json.loads(line))
        return self.client()

    def client(self, token: str | None = None) -> ControlClient:
        return connect(url=self.started[-1]["url"], token=token or self.started[0]["token"])

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        return self._end(signal.SIGTERM)

    def close(self) -> None:
        """End the service and what is left of jobs."""
        if self.process is not None and self.process.poll() is None:
            self._end(signal.SIGKILL)
        for pid in self.runners().values():
            os.kill(pid, signal.SIGKILL)

    def open_gate(self, job_id: str) -> None:
        """Let the step of a job of `gate` end: its process works in the job's folder."""
        (self.jobs_folder / job_id).mkdir(parents=True, exist_ok=True)
        (self.jobs_folder / job_id / "go").touch()

    def runners(self) -> dict[str, int]:
        """Process of each job that has one, by the lock that it holds."""
        from bedplate.app.pipeline.run.lock import holder_of

        folders = sorted(self.jobs_folder.iterdir()) if self.jobs_folder.exists() else []
        found = {folder.name: holder_of(folder) for folder in folders}
        return {name: holder.pid for name, holder in found.items() if holder is not None and holder.pid}

    def _end(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return ended(self.process).code


def gate(name: str = "gate", needs: dict[str, Any] | None = None, **settings: Any) -> dict[str, Any]:
    """A pipeline whose only step waits until its gate is opened; see `LiveService.open_gate`."""
    steps = {"wait": {"use": "test.gate", "opens": "go", **settings}}
    return {"version": 1, "name": name, "needs": needs or {}, "steps": steps}


def quick(name: str = "quick") -> dict[str, Any]:
    """A pipeline that is done at once."""
    return {"version": 1, "name": name, "steps": {"write": {"use": "test.write"}}}


def submit(client: ControlClient, pipeline: dict[str, Any], **options: Any) -> str:
    return str(client.submit(pipeline, uses=USES, **options)["id"])


def wait_phase(client: Callable[[], ControlClient] | ControlClient, job_id: str, *phases: str) -> dict[str, Any]:
    """The job once it is in one of these phases."""
    found: dict[str, Any] = {}

    def there() -> bool:
        nonlocal found
        found = (client if isinstance(client, ControlClient) else client()).job(job_id)
        return found["phase"] in phases

    try:
        wait_until(there, f"{job_id} to be {' or '.join(phases)}")
    except AssertionError as error:
        raise AssertionError(f"{error}; it is {found}") from None
    return found


def executions(service: LiveService, run_id: str) -> list[str]:
    """Process ids that worked on the step of `gate`."""
    file = service.command_line.state / "runs" / run_id / "wait" / "attempts.txt"
    return file.read_text().split() if file.exists() else []
