"""What a job may have now, whether or not it is free: limits of its tenant, guarantees of others, and how long it would run."""

from __future__ import annotations

import math

from bedplate.compute.scheduler.jobs.entry import Entry
from bedplate.compute.scheduler.nodes.gang import most_workers
from bedplate.compute.scheduler.nodes.needs import Variant
from bedplate.compute.scheduler.passes.outcome import Outcome
from bedplate.compute.scheduler.state import SchedulerState


class Admission:
    """Of one pass."""

    def __init__(self, state: SchedulerState, now: float) -> None:
        self._state, self._now = state, now

    def allowed(self, entry: Entry) -> tuple[list[tuple[Variant, int]], Outcome]:
        """Models that a job may have now, and how many workers; and why not, if there are none."""
        allowed: list[tuple[Variant, int]] = []
        outcome = Outcome.LIMIT
        for variant in entry.shape.variants:
            charge = self._state.charge_of(variant, 1)
            most = self._state.ledger.most_within(entry.tenant, charge, entry.job.request.workers)
            if most < entry.fewest:
                continue
            if entry.job.is_preemptible or self.may_pin(entry, variant):
                allowed.append((variant, most))
            else:
                outcome = Outcome.PINNED
        return allowed, outcome

    def may_pin(self, entry: Entry, variant: Variant) -> bool:
        """Whether others keep what they are guaranteed if a job cannot be preempted."""
        charge = self._state.charge_of(variant, entry.fewest)
        return self._state.ledger.may_pin(entry.tenant, charge, self._state.nodes.capacity)

    def has_room(self, entry: Entry) -> bool:
        """Whether a job would fit if nothing were reserved."""
        request, nodes = entry.job.request, self._state.nodes
        labelled_N = nodes.labelled(request.labels)
        return any(
            most_workers(self._state.placer.room(variant.item, labelled_N), nodes.leaf_N, request.topology) >= entry.fewest
            for variant in entry.shape.variants
        )

    def end_s(self, entry: Entry, variant: Variant, workers: int) -> float:
        """When a job would end that starts now with so many workers; infinity where nobody knows."""
        duration_s = entry.duration_s(variant.model, workers)
        return math.inf if duration_s is None else self._now + duration_s

    def shortest_s(self, entry: Entry) -> float:
        """How long a job takes with its fewest workers on the model that is fastest for it; infinity where nobody knows."""
        duration_s = entry.duration_s(entry.shape.variants[0].model, entry.fewest) if entry.shape.variants else None
        return math.inf if duration_s is None else duration_s
