"""What becomes of a job whose process has ended. A pure function of what is on record."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from bedplate.core.errors import BedplateError, TaskError
from bedplate.core.json import JsonObject
from bedplate.state.job_records import JobRecord, Phase

MAX_CRASHES = 3
"""A job whose process ends without a word is started again so often; then it has failed."""


class Why(enum.StrEnum):
    """Why a process was asked to end, or a job waits again."""

    PREEMPTED = "preempted"
    RESIZED = "resized"
    NODE_LOST = "node_lost"
    CANCELLED = "cancelled"
    CRASHED = "crashed"
    NOT_STARTED = "not_started"
    SERVICE_STOPPED = "service_stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What follows."""

    phase: Phase
    """DONE, FAILED, CANCELLED; WAITING: it waits again; STARTING: it is started again where it is to be now."""
    why: Why | None = None
    reason: str = ""
    error: JsonObject | None = None


def ending_of(job: JobRecord, *, has_lost_node: bool) -> Ending:
    """What follows from the end of a placed job's process.

    Args:
        job: As it is on record after its process was found gone.
        has_lost_node: One of its nodes is not there any more.
    """
    outcome = job.outcome if job.outcome is not None and job.outcome.get("attempt") == job.attempt else None
    status = None if outcome is None else outcome["status"]
    error = None if outcome is None else _mapping(outcome.get("error"))
    if status == Phase.DONE.value:
        return Ending(phase=Phase.DONE)
    if job.cancelled_by is not None:
        return Ending(phase=Phase.CANCELLED, reason=f"cancelled by {job.cancelled_by}")
    stop = job.stop or {}
    if stop.get("why") == Why.RESIZED and not has_lost_node:
        return Ending(phase=Phase.STARTING, why=Why.RESIZED, reason=str(stop["reason"]))
    if stop.get("why") is not None:
        return Ending(phase=Phase.WAITING, why=Why(str(stop["why"])), reason=str(stop["reason"]))
    if outcome is None:
        return _after_crash(job, has_lost_node=has_lost_node)
    if status == Phase.CANCELLED.value:
        return Ending(phase=Phase.CANCELLED, reason="its run was cancelled", error=error)
    if has_lost_node or outcome.get("has_lost_node"):
        return Ending(phase=Phase.WAITING, why=Why.NODE_LOST, reason="a node under it went away")
    return Ending(phase=Phase.FAILED, error=error, reason=str((error or {}).get("error", "it failed")))


def _after_crash(job: JobRecord, *, has_lost_node: bool) -> Ending:
    if has_lost_node:
        return Ending(phase=Phase.WAITING, why=Why.NODE_LOST, reason="a node under it went away")
    has_run = job.phase is not Phase.STARTING
    said = "its process ended without recording a result" if has_run else "its process did not come up"
    if job.num_crashes + 1 < MAX_CRASHES:
        return Ending(phase=Phase.WAITING, why=Why.CRASHED if has_run else Why.NOT_STARTED, reason=said)
    error: BedplateError = TaskError(
        said,
        seen=f"{job.num_crashes + 1} times",
        expected="a process that says how it ended",
        next_step=f"look for what kills it (dmesg, memory), and at runner.log in the folder of {job.id}",
    )
    return Ending(
        phase=Phase.FAILED, error={key: None if v is None else str(v) for key, v in error.as_json().items()}, reason=said
    )


def _mapping(value: object) -> JsonObject | None:
    return value if isinstance(value, Mapping) else None
