"""Jobs and nodes as answers show them. What their reader may not see of other jobs is left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bedplate.app.control.calls.explain import reasons, without_others
from bedplate.app.control.scheduling.book import JobBook
from bedplate.app.control.scheduling.cores import accelerators
from bedplate.app.control.scheduling.estimates import ModelEstimate, estimates
from bedplate.app.control.scheduling.requests import placed_from_json
from bedplate.compute.scheduler.why import why
from bedplate.core.json import JsonObject
from bedplate.state.job_records import DrainRecord, JobRecord, Phase, TenantRecord, UserRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """One node as it stands now."""

    id: str
    is_there: bool
    cores: int = 0
    free_cores: int = 0
    accelerators: tuple[str, ...] = ()
    """Model of each."""
    labels: tuple[tuple[str, str], ...] = ()
    jobs: tuple[str, ...] = ()
    """Jobs with a worker there, of those that the caller may see."""
    num_jobs: int = 0
    """All of them."""
    drain: DrainRecord | None = None

    @property
    def state(self) -> str:
        """`usable`, `drained` or `lost` (drained, and not there)."""
        return "lost" if not self.is_there else "drained" if self.drain else "usable"

    def as_json(self) -> JsonObject:
        """One entry of `nodes -o json`."""
        drain = self.drain
        return {
            "id": self.id,
            "state": self.state,
            "cores": self.cores,
            "free_cores": self.free_cores,
            "accelerators": list(self.accelerators),
            "labels": dict(self.labels),
            "jobs": list(self.jobs),
            "num_jobs": self.num_jobs,
            "drain": None if drain is None else {"reason": drain.reason, "by": drain.by, "at_s": drain.at_s},
        }


def job_view(record: JobRecord, why: str, models: tuple[ModelEstimate, ...] | None = None) -> JsonObject:
    """One entry of `queue -o json`; `models` is there only where one job is asked for."""
    placed = None if record.allocation is None else placed_from_json(record.allocation)
    return {
        "id": record.id,
        "name": record.name,
        "status": record.phase.status.value,
        "phase": record.phase.value,
        "user": record.user,
        "tenant": record.tenant,
        "priority": record.priority,
        "run_id": record.run_id,
        "file": record.file,
        "submitted_at_s": record.submitted_at_s,
        "placed_at_s": record.placed_at_s,
        "ended_at_s": record.ended_at_s,
        "attempt": record.attempt,
        "crashes": record.num_crashes,
        "request": record.request,
        "terms": record.terms,
        "workers": 0 if placed is None else placed.num_workers,
        "model": "" if placed is None else placed.allocation.model,
        "nodes": [] if placed is None else [part.node for part in placed.nodes],
        "allocation": []
        if placed is None
        else [{"node": part.node, "cores": list(part.cores), "devices": list(part.devices)} for part in placed.nodes],
        "cancelled_by": record.cancelled_by,
        "error": record.error,
        "why": why,
        **({} if models is None else {"models": [item.as_json() for item in models]}),
    }


def models_of(book: JobBook, record: JobRecord, now_s: float) -> tuple[ModelEstimate, ...]:
    """What a job takes on the models that it accepts, or on the one that it has; nothing of one that has ended."""
    if record.id not in book.records or record.id in book.adrift:
        return ()
    is_waiting = record.phase is Phase.WAITING
    return estimates(book, record.id, why(book.scheduler, record.id, now_s).earliest_start_s if is_waiting else None)


def why_of(book: JobBook, record: JobRecord, may_see: Callable[[str], bool], now_s: float, num_nodes: int = 0) -> str:
    """Why a job is where it is; of one that waits, as the scheduler sees it now, with the reasons of `num_nodes` nodes."""
    now = book.records.get(record.id, record)  # the record was read before, and may have been placed since
    is_waiting = now.phase is Phase.WAITING and record.id in book.records
    text = "; ".join(reasons(book, record.id, now_s, num_nodes)) if is_waiting else now.why
    if (wish := book.wishes.get(record.id)) is not None:
        text = f"{wish}; {text}" if text else wish
    return without_others(text, may_see)


def node_views(book: JobBook, drains: tuple[DrainRecord, ...], may_see: Callable[[JobRecord], bool]) -> tuple[NodeView, ...]:
    """Nodes that are there, and drained ones that are not."""
    by_node = {item.node_id: item for item in drains}
    on: dict[str, list[JobRecord]] = {}
    for job_id, placed in book.placed.items():
        for name in {part.node for part in placed.nodes}:
            on.setdefault(name, []).append(book.records[job_id])
    views = [
        NodeView(
            id=node.id,
            is_there=True,
            cores=node.num_cores,
            free_cores=book.cores.num_free(node.id),
            accelerators=tuple(device.model for device in accelerators(node)),
            labels=tuple(sorted(node.labels.items())),
            jobs=tuple(sorted(record.id for record in on.get(node.id, ()) if may_see(record))),
            num_jobs=len(on.get(node.id, ())),
            drain=by_node.get(node.id),
        )
        for node in book.cores.nodes
    ]
    there = {view.id for view in views}
    return (*views, *(NodeView(id=item.node_id, is_there=False, drain=item) for item in drains if item.node_id not in there))


def quota_view(tenant: TenantRecord, used: JsonObject) -> JsonObject:
    """One entry of `quota -o json`."""
    return {
        "tenant": tenant.name,
        "guaranteed": tenant.guaranteed,
        "limit": tenant.limit,
        "weight": tenant.weight,
        "used": used,
    }


def user_view(user: UserRecord) -> JsonObject:
    """One entry of the list of users."""
    return {"name": user.name, "role": user.role, "tenants": list(user.tenants), "created_at_s": user.created_at_s}
