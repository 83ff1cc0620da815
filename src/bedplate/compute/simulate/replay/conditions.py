"""What the simulated world does beside the scheduler: how jobs run, what stopping costs, how often nodes fail."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """All times in seconds."""

    period_s: float = 0.0
    """Least time between two decisions; 0 decides whenever something happened."""
    scaling: float = 1.0
    """With half of its workers a job is 2 ** -scaling times as fast."""
    checkpoint_every_s: float = 3600.0
    """How often a running job saves itself; 0 is all the time."""
    checkpoint_takes_s: float = 20.0
    """What a job that is asked to stop needs to save itself; if its grace is shorter, it loses recent work."""
    restart_s: float = 60.0
    """What a job that had run before needs until it works again; also after each change of its size."""
    mtbf_s: float = 0.0
    """Mean time between failures of one node; 0 is never."""
    repair_s: float = 14_400.0
    """Mean time to repair of a node."""
    seed: int = 0
    """Of failures, repairs and what policies draw."""
