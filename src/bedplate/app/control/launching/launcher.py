"""Starting, finding and ending the processes of jobs. They are in sessions of their own, and outlive the service.

Whether one lives, its lock says (`runner.py`), whoever started it; one that has not taken it yet is known only to the service
that launched it. A signal goes to the process that holds the lock, known by more than its number.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from bedplate.app.control.launching.job_files import LOG, Orders, folder_of, write_orders
from bedplate.app.control.scheduling.requests import Placed
from bedplate.app.pipeline.run.lock import UNKNOWN, holder_of
from bedplate.app.pipeline.run.process import kill
from bedplate.core.errors import UnavailableError
from bedplate.core.implements import implements
from bedplate.state.database.location import StateLocation
from bedplate.state.job_records import JobRecord

_RUNNER = "bedplate.app.control.launching.runner"


class Launcher(Protocol):
    """The processes of jobs."""

    def launch(self, job: JobRecord, placed: Placed) -> None:
        """Start the process of the job's attempt. Returns immediately; whether it runs, the state will say.

        Raises:
            UnavailableError: The machine refused a process or a file.
        """
        ...

    def is_alive(self, job_id: str) -> bool:
        """Whether a process of the job is there, or may still come up."""
        ...

    def ask_to_end(self, job_id: str) -> None:
        """Ask it to save what it has and to end; nothing where it has ended."""
        ...

    def kill(self, job_id: str) -> None:
        """End it now, and all that it started."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessLauncher:
    """Processes of this machine.

    Args:
        location: Where the state is.
        state: What `--state` says.
        engine: URL of the engine on which jobs run.
        uses: Use cases of the operator's own, by name.
    """

    location: StateLocation
    state: str
    engine: str
    uses: Mapping[str, str] = field(default_factory=dict)
    _children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @implements(Launcher)
    def launch(self, job: JobRecord, placed: Placed) -> None:
        folder = folder_of(self.location, job.id)
        orders = Orders(
            job_id=job.id,
            attempt=job.attempt,
            state=self.state,
            engine=self.engine,
            only=placed.nodes,
            document=job.document,
            file=job.file,
            owner=job.user,
            is_new_run=job.is_new_run,
            uses=self.uses,
        )
        try:
            file = write_orders(folder, orders)
            descriptor = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "ab") as log:
                self._children[job.id] = subprocess.Popen(
                    [sys.executable, "-m", _RUNNER, str(file)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    cwd=folder,
                )
        except OSError as error:
            raise UnavailableError(
                f"the process of {job.id} could not be started",
                seen=error,
                next_step="free memory, processes or disk space: it is tried again",
            ) from error

    @implements(Launcher)
    def is_alive(self, job_id: str) -> bool:
        child = self._children.get(job_id)
        if child is not None:
            if child.poll() is None:
                return True
            del self._children[job_id]
        return holder_of(folder_of(self.location, job_id)) is not None

    @implements(Launcher)
    def ask_to_end(self, job_id: str) -> None:
        self._signal(job_id, signal.SIGTERM)

    @implements(Launcher)
    def kill(self, job_id: str) -> None:
        self._signal(job_id, signal.SIGKILL)

    def _signal(self, job_id: str, number: signal.Signals) -> None:
        child = self._children.get(job_id)
        if child is not None and child.poll() is None:
            child.send_signal(number)
            return
        holder = holder_of(folder_of(self.location, job_id))
        if holder is not None and holder != UNKNOWN:
            with contextlib.suppress(UnavailableError):  # of another machine or container: its own service must end it
                kill(holder, number)
