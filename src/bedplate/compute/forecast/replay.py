"""Policies of capacity on a recorded load: what they cost in devices, and how often demand found too little.

Time goes in steps. At the end of a step its load is known and the policy says how many units it wants. What is missing is
started, which takes `start_steps` whole steps, and serves from the step after them; what is too much is stopped at once. A unit
costs from its start, ready or not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from bedplate.compute.forecast.series import Floats

Policy: TypeAlias = Callable[[int], float]
"""Step whose load was the last to be seen -> units wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a policy did over a part of the load."""

    device_hours: float
    attained_frac: float
    """Share of the steps in which capacity covered the load."""
    served_frac: float
    """Share of the load that found capacity."""
    num_starts: float


def replay(load: Floats, policy: Policy, start_steps: int, begin: int, step_s: float) -> Outcome:
    """The outcome from step `begin` on; capacity begins at what the policy wanted then.

    Args:
        load: Load of each step in units, shape (num_steps,).
        policy: Asked at each step.
        start_steps: Steps that a start takes; 1 or more.
        begin: First step that counts; at least 1.
        step_s: Length of a step.
    """
    ready = policy(begin - 1)
    starting = deque([0.0] * start_steps)
    spent = attained = served = starts = 0.0
    for step in range(begin, len(load)):
        spent += ready + sum(starting)
        attained += load[step] <= ready + 1e-9
        served += min(load[step], ready)
        ready += starting.popleft()
        starting.append(0.0)
        missing = policy(step) - ready - sum(starting)
        if missing > 0:
            starting[-1] += missing
            starts += missing
        elif missing < 0:
            ready, starting = _stopped(ready, starting, -missing)
    total = float(load[begin:].sum())
    return Outcome(
        device_hours=spent * step_s / 3600,
        attained_frac=attained / (len(load) - begin),
        served_frac=served / total if total else 1.0,
        num_starts=starts,
    )


def _stopped(ready: float, starting: deque[float], surplus: float) -> tuple[float, deque[float]]:
    """Without `surplus` units: the newest starts go first, then those that serve."""
    kept = deque(starting)
    for at in reversed(range(len(kept))):
        taken = min(kept[at], surplus)
        kept[at] -= taken
        surplus -= taken
    return ready - surplus, kept


def static(units: float) -> Policy:
    """Always the same."""
    return lambda step: units


def reactive(load: Floats, target_frac: float, hold_steps: int) -> Policy:
    """As Kubernetes' autoscaler: the last load over a target utilisation; downward only after the stabilisation window.

    Source: Kubernetes documentation, "Horizontal Pod Autoscaling": desired = ceil(load / target), and of the
    recommendations within the window the highest.
    """
    desired = np.ceil(load / target_frac - 1e-9)
    return lambda step: float(desired[max(0, step - hold_steps) : step + 1].max())


def following(upper: Floats) -> Policy:
    """The upper quantile of the load that is forecast at each step, shape (num_steps,), in whole units."""
    wanted = np.ceil(upper - 1e-9)
    return lambda step: float(wanted[step])
