"""When nodes fail and come back."""

from __future__ import annotations

import numpy as np

from bedplate.compute.simulate.replay.conditions import Conditions


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
