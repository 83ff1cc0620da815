"""One pass of the scheduler: what `decide` does inside its trial."""

from __future__ import annotations

from bedplate.compute.scheduler.decision import Decision, Refuse, Start
from bedplate.compute.scheduler.entry import Entry
from bedplate.compute.scheduler.state import SchedulerState
from bedplate.compute.scheduler.walk import Walk


class SchedulingPass:
    """Used once."""

    def __init__(self, state: SchedulerState, now: float) -> None:
        self._state, self._now = state, now
        self._decisions: list[Decision] = []

    def run(self) -> tuple[Decision, ...]:
        """The decisions."""
        for entry in self._state.refused.values():
            assert entry.refusal is not None
            why, nearest = entry.refusal
            self._decisions.append(Refuse(job_id=entry.job.id, reason=why, nearest=nearest))
        walk = Walk(self._state, self._now)
        while (entry := walk.next()) is not None:
            walk.proceed(same_group=self._try(entry))
        return tuple(self._decisions)

    def _try(self, entry: Entry) -> bool:
        """Start a job if it fits; whether others like it may fit too."""
        state = self._state
        if entry.not_before_s > self._now:
            return True
        allowed_N = state.nodes.labelled(entry.job.request.labels)
        for variant in entry.shape.variants:
            if state.ledger.over_limit(entry.tenant, state.charge_of(variant, entry.fewest)) is not None:
                continue
            taken = state.placer.place(entry.shape, variant, entry.fewest, entry.job.request.workers, allowed_N)
            if taken is not None:
                state.ledger.charge(entry.tenant, state.charge_of(variant, len(taken)))
                allocation = state.placer.allocation(variant.model, taken)
                self._decisions.append(Start(job_id=entry.job.id, allocation=allocation, reason="it fits"))
                return True
        return False
