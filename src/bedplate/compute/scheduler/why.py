"""Why a job waits: what the pass that would be made now does with it, and what stands against it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bedplate.compute.scheduler.decision import Preempt, Shrink, Start
from bedplate.compute.scheduler.job import Topology
from bedplate.compute.scheduler.jobs.entry import Entry, Phase
from bedplate.compute.scheduler.nodes.needs import Variant
from bedplate.compute.scheduler.passes.admission import Admission
from bedplate.compute.scheduler.passes.outcome import Outcome
from bedplate.compute.scheduler.passes.scheduling_pass import SchedulingPass
from bedplate.compute.scheduler.passes.walk import rank_of
from bedplate.compute.scheduler.placement.arrays import Bools
from bedplate.compute.scheduler.placement.why_not import WhyNot, why_not
from bedplate.compute.scheduler.quota.ledger import MILLI
from bedplate.compute.scheduler.quota.tenants import MEMORY, resource_name
from bedplate.compute.scheduler.state import SchedulerState
from bedplate.core.units import format_duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What is known of a job that waits."""

    job_id: str
    reason: str
    """In one sentence."""
    details: tuple[str, ...] = ()
    """More of them, the most important first."""
    rejected: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """By model (empty for work on CPUs only): how many nodes each filter rejected for one worker, the most first."""
    quota: tuple[str, ...] = ()
    """What its tenant, and those above it, hold of what it needs, and may hold."""
    ahead: int = 0
    """Waiting jobs that are looked at before it."""
    earliest_start_s: float | None = None
    """When it can start at the latest if what runs ends when expected and nothing urgent comes; None if nobody knows."""


def why(state: SchedulerState, job_id: str, now: float) -> Waiting:
    """Why a job waits. O(nodes + waiting jobs), and a pass.

    Raises:
        NotFoundError: It never was, or it is gone.
    """
    entry = state.entry(job_id)
    if entry.refusal is not None:
        why_never, nearest = entry.refusal
        details = (f"nearest request that could be met: {nearest}",) if nearest else ()
        return Waiting(job_id=job_id, reason=why_never, details=details)
    if entry.phase is not Phase.WAITING:
        text = "it runs" if entry.phase is Phase.RUNNING else "it was asked to end, and waits again then"
        return Waiting(job_id=job_id, reason=text)
    with state.nodes.cluster.trial(), state.ledger.trial():
        current = SchedulingPass(state, now)
        decisions = current.run()
        if any(isinstance(decision, Start) and decision.job_id == job_id for decision in decisions):
            return Waiting(job_id=job_id, reason="it starts in the next pass", earliest_start_s=now)
        asked = [item for item in decisions if isinstance(item, Preempt | Shrink) and item.beneficiary == job_id]
        reason = _reason(state, entry, current, len(asked), now)
        best = current.reservations.best(entry)
        own = next((item for item in current.reservations.made if item.job_id == job_id), best)
        return Waiting(
            job_id=job_id,
            reason=reason,
            details=_details(entry, current),
            rejected={variant.model: _rejected(state, entry, current, variant, now) for variant in entry.shape.variants},
            quota=_quota(state, entry, now),
            ahead=_ahead(state, entry, now),
            earliest_start_s=None if own is None else own.at_s,
        )


def exceeded_limit(state: SchedulerState, entry: Entry, variant: Variant) -> str | None:
    """The first limit that a job would exceed on a model if it started now, in words; None if there is none."""
    over = state.ledger.over_limit(entry.tenant, state.charge_of(variant, entry.fewest))
    if over is None:
        return None
    tenant, resource = over
    return f"tenant '{tenant.path}' would exceed its limit of {tenant.limit[resource] / MILLI:g} {resource_name(resource)}"


def rejections(state: SchedulerState, entry: Entry, variant: Variant, own: Mapping[str, Bools] | None = None) -> WhyNot:
    """Which nodes do not take a worker of a job on a model, and why.

    Args:
        state: As it is now, in a trial or not.
        entry: The job.
        variant: The model.
        own: Further filters by name, asked after the labels: nodes that they allow.
    """
    labelled_N = state.nodes.labelled(entry.job.request.labels)
    labels = {} if labelled_N is None else {"other labels": labelled_N}
    return why_not(state.nodes.cluster, variant.item, {**labels, **(own or {})})


def _reason(state: SchedulerState, entry: Entry, current: SchedulingPass, num_asked: int, now: float) -> str:
    if entry.not_before_s > now:
        return f"it was stopped, and does not start again before {format_duration(entry.not_before_s - now)} from now"
    going = [other for other in state.going.values() if other.beneficiary == entry.job.id]
    if going or num_asked:
        last_s = max((other.ends_by_s or now for other in going), default=now)
        when = f", within {format_duration(last_s - now)}" if last_s > now else ""
        return f"{len(going) + num_asked} jobs make room for it{when}"
    outcome = current.start(entry)
    if outcome is Outcome.LIMIT and entry.shape.variants:
        over = exceeded_limit(state, entry, entry.shape.variants[0])
        if over is not None:
            return over
    if not entry.shape.variants:
        return "no node has what it asks for; it was there when the job was submitted"
    if outcome is Outcome.STARTED:
        return "there is room, and jobs before it that may not be passed"
    return str(outcome.value)


def _details(entry: Entry, current: SchedulingPass) -> tuple[str, ...]:
    request = entry.job.request
    details = []
    if entry.fewest > 1:
        where = "" if request.topology is Topology.ANY else f", {request.topology.value}"
        details.append(f"it starts with {entry.fewest} workers or more{where}")
    before = [item.job_id for item in current.reservations.made if item.job_id != entry.job.id]
    if before:
        details.append(f"room is kept for {', '.join(before)}")
    if entry.job.expected_s is None and before:
        details.append("nobody knows how long it runs, so it may not use what is kept for others")
    if entry.preempted_s:
        details.append(f"it was preempted {len(entry.preempted_s)} times, last for {', '.join(sorted(entry.displaced_by))}")
    return tuple(details)


def _rejected(state: SchedulerState, entry: Entry, current: SchedulingPass, variant: Variant, now: float) -> Mapping[str, int]:
    caps_N = current.reservations.caps(variant, Admission(state, now).end_s(entry, variant, entry.fewest))
    own = {} if caps_N is None else {"kept for jobs before it": caps_N > 0}
    return rejections(state, entry, variant, own).counts


def _quota(state: SchedulerState, entry: Entry, now: float) -> tuple[str, ...]:
    lines = []
    resources = {name for variant in entry.shape.variants for name, amount in state.charge_of(variant, 1) if amount}
    for member in entry.tenant.line:
        for name in sorted(resources - {MEMORY}):
            limit = member.limit.get(name)
            if limit is None and not member.guaranteed.get(name):
                continue
            may = f", limit {limit / MILLI:g}" if limit is not None else ""
            lines.append(
                f"tenant '{member.path}' holds {member.used.get(name, 0) / MILLI:g} {resource_name(name)}"
                f" of {member.guarantee(name, now) / MILLI:g} guaranteed{may}"
            )
    return tuple(lines)


def _ahead(state: SchedulerState, entry: Entry, now: float) -> int:
    urgent = {other.sequence for other in state.deadlines.urgent(now, state.settings.laxity)}

    def place(other: Entry) -> tuple[object, ...]:
        is_urgent = other.sequence in urgent
        return other.job.id not in state.beneficiaries, rank_of(state, other, now, is_urgent=is_urgent), other.sequence

    own = place(entry)
    return sum(1 for other in state.queue if other is not entry and place(other) < own)
