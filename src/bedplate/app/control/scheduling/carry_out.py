"""A decision of the scheduler, written into the batch and told to its state."""

from __future__ import annotations

from collections import Counter
from typing import assert_never

from bedplate.app.control.scheduling.batch import Batch
from bedplate.app.control.scheduling.book import JobBook
from bedplate.app.control.scheduling.endings import Ending, Why
from bedplate.app.control.scheduling.following import after_ending, stop
from bedplate.app.control.scheduling.requests import Placed, placed_as_json
from bedplate.compute.scheduler.decide import apply
from bedplate.compute.scheduler.decision import Decision, Grow, Preempt, Refuse, Shrink, Start
from bedplate.compute.scheduler.job import Allocation, WorkerPlace
from bedplate.core.errors import ResourcesError, UsageError
from bedplate.core.events.kinds import JobPlaced, JobRefused
from bedplate.core.json import JsonObject, plain
from bedplate.core.messages import encode
from bedplate.state.job_records import Phase


def carry_out(book: JobBook, batch: Batch, decision: Decision) -> None:
    """Everything but the process itself."""
    match decision:
        case Start():
            _start(book, batch, decision)
        case Preempt():
            apply(book.scheduler, decision, batch.now_s)
            record = book.records[decision.job_id]
            stop(book, batch, record, Why.PREEMPTED, decision.reason, beneficiary=decision.beneficiary)
        case Shrink():
            apply(book.scheduler, decision, batch.now_s)
            to = _without(book.placed[decision.job_id].allocation, decision.released)
            stop(book, batch, book.records[decision.job_id], Why.RESIZED, decision.reason, to=encode(to))
        case Grow():
            _grow(book, batch, decision)
        case Refuse():
            _refuse(book, batch, decision)
        case _:
            assert_never(decision)


def _start(book: JobBook, batch: Batch, decision: Start) -> None:
    record = book.records[decision.job_id]
    try:
        placed = book.cores.give(book.requests[record.id], decision.allocation)
    except ResourcesError:  # a job that is adrift still has them; it ends soon
        return
    apply(book.scheduler, decision, batch.now_s)
    book.hold(record.id, placed)
    attempt = record.attempt + 1
    book.change(
        batch,
        record.id,
        phase=Phase.STARTING,
        allocation=placed_as_json(placed),
        attempt=attempt,
        placed_at_s=batch.now_s,
        runner=None,
        outcome=None,
        stop=None,
        why=decision.reason,
    )
    batch.launches.append(record.id)
    nodes = tuple(part.node for part in placed.nodes)
    facts = JobPlaced(attempt=attempt, nodes=nodes, workers=placed.num_workers, reason=decision.reason)
    batch.note_job(record.id, facts, f"{placed.num_workers} workers on {', '.join(nodes)}: {decision.reason}", record.run_id)


def _without(held: Allocation, released: tuple[WorkerPlace, ...]) -> Allocation:
    """Places that look alike are as many as they are: two workers on cores of one node."""
    gone, kept = Counter(released), []
    for place in held.places:
        if gone[place]:
            gone[place] -= 1
        else:
            kept.append(place)
    return Allocation(model=held.model, places=tuple(kept))


def _grow(book: JobBook, batch: Batch, decision: Grow) -> None:
    """The places are its own from now on; it gets to use them once its process has ended and was started again."""
    record, held = book.records[decision.job_id], book.placed[decision.job_id]
    added = Allocation(model=held.allocation.model, places=decision.added)
    try:
        more = book.cores.give(book.requests[record.id], added)
    except ResourcesError:
        return
    apply(book.scheduler, decision, batch.now_s)
    to = Allocation(model=added.model, places=held.allocation.places + added.places)
    book.hold(record.id, Placed(allocation=held.allocation, nodes=held.nodes + more.nodes))
    stop(book, batch, record, Why.RESIZED, decision.reason, to=encode(to))


def _refuse(book: JobBook, batch: Batch, decision: Refuse) -> None:
    error = refusal_error(decision)
    batch.note_job(decision.job_id, JobRefused(reason=decision.reason, nearest=decision.nearest), str(error))
    document: JsonObject = {key: plain(value) for key, value in error.as_json().items()}
    ending = Ending(phase=Phase.FAILED, reason=decision.reason, error=document)
    after_ending(book, batch, book.records[decision.job_id], ending)


def refusal_error(decision: Refuse) -> UsageError:
    """A request that nothing here can ever meet, for people."""
    return UsageError(
        "nothing here can ever run this job",
        seen=decision.reason,
        expected=decision.nearest or "a request that fits the nodes of this service ('bedplate nodes')",
        next_step="ask for less, or add nodes",
    )
