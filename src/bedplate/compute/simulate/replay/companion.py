"""What goes on in a simulated cluster beside the jobs of a trace: a service whose size follows its load."""

from __future__ import annotations

from typing import Protocol

from bedplate.compute.scheduler.decision import Decision


class Companion(Protocol):
    """Has jobs of its own in the scheduler's state. Calls return immediately."""

    @property
    def next_s(self) -> float:
        """When it wants to act next; infinity once it is over."""
        ...

    def happen(self, now: float) -> None:
        """Its time has come; the scheduler decides after that."""
        ...

    def carry_out(self, decision: Decision, now: float) -> bool:
        """Carry a decision out, and tell the state; False if it is about a job of the trace."""
        ...

    def lost(self, job_id: str, now: float) -> bool:
        """A node under a job failed; False if that is a job of the trace."""
        ...
