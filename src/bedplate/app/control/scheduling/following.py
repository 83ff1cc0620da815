"""What happened since the last pass, taken into the book: nodes, new jobs, cancellations, processes that ended."""

from __future__ import annotations

from typing import Any

from bedplate.app.control.scheduling.batch import Batch
from bedplate.app.control.scheduling.book import JobBook
from bedplate.app.control.scheduling.cores import accelerators
from bedplate.app.control.scheduling.endings import Ending, Why
from bedplate.app.control.scheduling.requests import placed_as_json
from bedplate.compute.scheduler.job import Allocation
from bedplate.core.devices import Node
from bedplate.core.events.kinds import (
    JobCancelled,
    JobDone,
    JobFailed,
    JobRequeued,
    JobResized,
    JobStopping,
    NodeJoined,
    NodeLost,
)
from bedplate.core.messages import decode
from bedplate.state.job_records import PLACED, JobRecord, Phase

_CRASH_BACKOFF_S = 1.0
"""A job whose process ended without a word waits so long, longer each time, before it starts again."""


def follow_nodes(book: JobBook, batch: Batch, nodes: tuple[Node, ...]) -> None:
    """Take in nodes that came and went.

    A node with other cores, memory or accelerators than before went, and another came; one with other labels stays. One that
    went and is back is taken in when no process of before holds anything of it any more.
    """
    if nodes is book.seen_nodes and not book.held_back:
        return
    book.seen_nodes = nodes
    now = {node.id: node for node in nodes}
    for known in book.cores.nodes:
        node = now.get(known.id)
        if node is None or _hardware(node) != _hardware(known):
            lose(book, batch, known.id)
        elif dict(node.labels) != dict(known.labels):
            book.cores.add(node)
            book.scheduler.node_relabelled(node)
    new = [node for node in now.values() if book.cores.node(node.id) is None]
    held = {part.node for placed in book.placed.values() for part in placed.nodes} if new else set[str]()
    book.held_back = {node.id for node in new if node.id in held}
    for node in new:
        if node.id not in held:
            book.cores.add(node)
            book.scheduler.described(book.facts.see((node,)))
            book.scheduler.node_added(node)
            book.drained.pop(node.id, None)
            facts = NodeJoined(cores=node.num_cores, accelerators=len(accelerators(node)))
            batch.note_node(node.id, facts, f"{facts.cores} cores, {facts.accelerators} accelerators")


def take_up(book: JobBook, batch: Batch, record: JobRecord) -> None:
    """A job that is new, or whose end somebody asked for."""
    if record.id not in book.records:
        book.admit(record)
    known = book.records[record.id]
    if record.cancelled_by is None or known.cancelled_by is not None:
        return
    known = book.change(batch, record.id, cancelled_by=record.cancelled_by)
    if known.phase is Phase.WAITING:
        after_ending(book, batch, known, Ending(phase=Phase.CANCELLED, reason=f"cancelled by {known.cancelled_by}"))
    else:
        stop(book, batch, known, Why.CANCELLED, f"cancelled by {known.cancelled_by}")


def stop(book: JobBook, batch: Batch, record: JobRecord, why: Why, reason: str, **more: Any) -> None:
    """Ask the process of a placed job to end; the newest reason counts, the first asking does."""
    asked_at_s = (record.stop or {}).get("asked_at_s", batch.now_s)
    document = {"why": why.value, "reason": reason, "asked_at_s": asked_at_s, **more}
    book.change(batch, record.id, phase=Phase.STOPPING, stop=document, why=reason)
    if record.phase is not Phase.STOPPING:
        batch.asked.append(record.id)
        batch.note_job(record.id, JobStopping(why=why.value, reason=reason), reason, record.run_id)


def after_ending(book: JobBook, batch: Batch, record: JobRecord, ending: Ending) -> None:
    """Let follow what follows from the end of a job's process."""
    match ending.phase:
        case Phase.WAITING:
            _wait_again(book, batch, record, ending)
        case Phase.STARTING:
            _start_resized(book, batch, record, ending)
        case _:
            _end(book, batch, record, ending)


def lose(book: JobBook, batch: Batch, node_id: str) -> None:
    """A node went: who has a worker there is asked to end."""
    touched = [job.id for job in book.scheduler.node_lost(node_id)]
    touched += [job_id for job_id in book.adrift if _is_on(book, job_id, node_id)]
    book.cores.remove(node_id)
    batch.note_node(node_id, NodeLost(jobs=tuple(touched)), f"{len(touched)} jobs had a worker there")
    for job_id in touched:
        record = book.records[job_id]
        if (record.stop or {}).get("why") != Why.CANCELLED:
            stop(book, batch, record, Why.NODE_LOST, f"node {node_id} went away")


def _wait_again(book: JobBook, batch: Batch, record: JobRecord, ending: Ending) -> None:
    assert ending.why is not None
    has_crashed = ending.why in (Why.CRASHED, Why.NOT_STARTED)
    crashes = record.num_crashes + has_crashed
    book.change(
        batch,
        record.id,
        phase=Phase.WAITING,
        allocation=None,
        runner=None,
        outcome=None,
        stop=None,
        num_crashes=crashes,
        why=ending.reason,
    )
    wait_s = _CRASH_BACKOFF_S * 2**crashes if has_crashed else 0.0
    book.wait_again(record.id, batch.now_s, batch.now_s + wait_s if wait_s else 0.0)
    batch.note_job(record.id, JobRequeued(why=ending.why.value, reason=ending.reason), ending.reason, record.run_id)


def _start_resized(book: JobBook, batch: Batch, record: JobRecord, ending: Ending) -> None:
    assert record.stop is not None and record.allocation is not None
    before = book.placed[record.id].num_workers
    allocation = decode(Allocation, record.stop["to"])
    book.let_go(record.id)
    placed = book.cores.give(book.requests[record.id], allocation)
    book.hold(record.id, placed)
    book.scheduler.resized(record.id, allocation, batch.now_s)
    book.change(
        batch,
        record.id,
        phase=Phase.STARTING,
        allocation=placed_as_json(placed),
        attempt=record.attempt + 1,
        placed_at_s=batch.now_s,
        runner=None,
        outcome=None,
        stop=None,
        why=ending.reason,
    )
    batch.launches.append(record.id)
    facts = JobResized(workers_before=before, workers=placed.num_workers, reason=ending.reason)
    batch.note_job(record.id, facts, ending.reason, record.run_id)


def _end(book: JobBook, batch: Batch, record: JobRecord, ending: Ending) -> None:
    seconds = batch.now_s - record.submitted_at_s
    facts: object
    if ending.phase is Phase.DONE:
        facts = JobDone(seconds=seconds)
    elif ending.phase is Phase.CANCELLED:
        facts = JobCancelled(by=record.cancelled_by or "", seconds=seconds)
    else:
        facts = JobFailed(code=str((ending.error or {}).get("code", "")), seconds=seconds)
    book.change(
        batch,
        record.id,
        phase=ending.phase,
        ended_at_s=batch.now_s,
        error=ending.error,
        stop=None,
        why=ending.reason,
    )
    batch.note_job(record.id, facts, ending.reason, record.run_id)
    book.end(record.id, batch.now_s)


def _is_on(book: JobBook, job_id: str, node_id: str) -> bool:
    return record_is_placed(book, job_id) and any(part.node == node_id for part in book.placed[job_id].nodes)


def record_is_placed(book: JobBook, job_id: str) -> bool:
    """Whether a job holds places."""
    return book.records[job_id].phase in PLACED


def _hardware(node: Node) -> tuple[object, ...]:
    """What a node has for jobs; labels, health and what was measured may change."""
    return node.cores, node.memory_bytes, tuple((item.id, item.model) for item in node.devices)
