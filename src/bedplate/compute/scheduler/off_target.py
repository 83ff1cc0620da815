"""Running jobs whose numbers were changed (`retarget.py`) come to what they want, before anything else is looked at.

Who has too many workers gives the newest back. Who has fewer than its least takes what is free; for the rest others make room,
by the same claims as for a waiting job of its tenant and priority: what is extra to elastic jobs first. Where its workers
must be near each other it takes what becomes free there, and nobody is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from bedplate.compute.scheduler.decision import Shrink
from bedplate.compute.scheduler.entry import Entry, Phase
from bedplate.compute.scheduler.job import Topology
from bedplate.compute.scheduler.needs import Shape
from bedplate.compute.scheduler.reservations import Reservations
from bedplate.compute.scheduler.state import SchedulerState


@dataclass(frozen=True, slots=True, kw_only=True)
class OffTarget:
    """Of one pass.

    Args:
        state: Read.
        reservations: Of the pass.
        extend: Gives a running job free places; returns how many.
        make_room: Asks others to make room for a waiting job; whether it found any.
    """

    state: SchedulerState
    reservations: Reservations
    extend: Callable[[Entry], int]
    make_room: Callable[[Entry], bool]

    def give_back(self) -> Iterator[Shrink]:
        """Places of jobs that have too many; what they hold without them is in the accounts then."""
        for entry in self._settled():
            if (count := entry.surplus) and entry.allocation is not None:
                gain = tuple((name, amount * count // entry.num_workers) for name, amount in entry.charge)
                self.state.ledger.leave(entry.tenant, gain)
                reason = f"it wants {entry.job.request.workers} of its {entry.num_workers} workers"
                places = entry.allocation.places[-count:]
                yield Shrink(job_id=entry.job.id, released=places, beneficiary="", reason=reason)

    def complete(self) -> None:
        """Jobs that have fewer than their least get places, or others are asked for them."""
        for entry in self._settled():
            if entry.owed and (rest := entry.owed - self.extend(entry)) > 0 and (missing := self._rest_of(entry, rest)):
                self._claim(missing)

    def _claim(self, missing: Entry) -> None:
        state = self.state
        if any(other.beneficiary == missing.job.id for other in state.going.values()):
            if (reservation := self.reservations.best(missing)) is not None:
                self.reservations.reserve(reservation)
                state.ledger.charge(missing.tenant, state.charge_of(reservation.variant, missing.fewest))
        elif not state.settings.preemption or not self.make_room(missing):
            self.reservations.want(missing)

    def _settled(self) -> list[Entry]:
        """Those that nothing was asked of yet and whose nodes are all there, in order."""
        found = [
            entry
            for entry in self.state.off_target.values()
            if entry.phase is Phase.RUNNING
            and not entry.shrinking
            and all(self.state.nodes.is_there(item.node) for item in entry.taken)
        ]
        return sorted(found, key=lambda entry: (entry.key, entry.sequence))

    def _rest_of(self, entry: Entry, workers: int) -> Entry | None:
        """The workers that a job has not yet, as a job that waits for them all; None if they cannot be anywhere."""
        request, variant = entry.job.request, entry.shape.variant(entry.model)
        if variant is None or request.topology is not Topology.ANY:
            return None
        wanted = replace(request, workers=workers, min_workers=workers, is_gang=True)
        return Entry(
            job=replace(entry.job, request=wanted),
            sequence=entry.sequence,
            tenant=entry.tenant,
            shape=Shape(wanted, (variant,), entry.shape.speed, entry.shape.any_item),
            key=entry.key,
            displaced_by=entry.displaced_by,
        )
