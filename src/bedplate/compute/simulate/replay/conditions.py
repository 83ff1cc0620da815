"""What the simulated world does beside the scheduler: how jobs run, what stopping costs, when nodes fail."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


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


class Failures:
    """Draws when nodes fail and how long they are away; the same for the same seed, whatever the scheduler does."""

    def __init__(self, conditions: Conditions, num_nodes: int) -> None:
        self._conditions = conditions
        self._generators = (
            [np.random.default_rng((conditions.seed, node)) for node in range(num_nodes)] if conditions.mtbf_s else []
        )

    @property
    def happen(self) -> bool:
        """Whether nodes fail at all."""
        return bool(self._generators)

    def up_s(self, node: int) -> float:
        """How long the node works until it fails."""
        return float(self._generators[node].exponential(self._conditions.mtbf_s))

    def down_s(self, node: int) -> float:
        """How long it is away then."""
        return float(self._generators[node].exponential(self._conditions.repair_s))
