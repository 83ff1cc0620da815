"""From what a file says it needs to the scheduler's words, and those to what the state keeps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bedplate.app.pipeline.contract.accelerators import ANY, models_meant
from bedplate.app.pipeline.contract.needs import Needs
from bedplate.compute.capacity.following import Following
from bedplate.compute.scheduler.job import WHOLE, Allocation, Job, Request, Topology, WorkerPlace
from bedplate.core.allocation import NodeAllocation
from bedplate.core.devices import Node
from bedplate.core.json import JsonObject
from bedplate.core.messages import decode
from bedplate.state.job_records import JobRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a job may be treated; what of it the scheduler needs and a request does not say."""

    kind: str = "training"
    expected_s: float | None = None
    deadline_s: float | None = None
    """Seconds from its submission."""
    is_preemptible: bool = True
    grace_s: float = 30.0
    replicas: Following | None = None
    """How its workers follow its load, where it is a service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """What a job holds: where its workers are, and which cores and accelerators of which nodes that is."""

    allocation: Allocation
    nodes: tuple[NodeAllocation, ...]

    @property
    def num_workers(self) -> int:
        """Workers that it has places for."""
        return len(self.allocation.places)


def request_of(needs: Needs, nodes: Iterable[Node]) -> Request:
    """What the scheduler places.

    Args:
        needs: What the file says.
        nodes: Those that are there: a family, vendor or backend means the models of it among them.

    Raises:
        UsageError: No such request, like a share of several accelerators.
    """
    memory_bytes, has_devices = needs.memory or 0, needs.has_accelerators
    models = () if ANY in needs.words else models_meant(needs.words, nodes) or needs.words
    return Request(
        workers=needs.workers.want,
        min_workers=needs.workers.min,
        is_gang=needs.gang,
        devices=int(has_devices),
        share_milli=max(1, round(needs.share * WHOLE)),
        accelerators=models if has_devices else (),
        device_memory_bytes=memory_bytes if has_devices else 0,
        cpu_milli=needs.cpus_per_worker * WHOLE,
        memory_bytes=0 if has_devices else memory_bytes,
        topology=Topology(needs.topology),
        labels=dict(needs.labels),
    )


def terms_of(needs: Needs) -> Terms:
    """How a job of that file may be treated."""
    return Terms(
        kind=needs.kind,
        expected_s=needs.expected,
        deadline_s=needs.deadline,
        is_preemptible=needs.preemptible,
        grace_s=needs.grace,
        replicas=needs.replicas,
    )


def job_of(record: JobRecord) -> Job:
    """A stored job in the scheduler's words.

    Raises:
        MessageError: It was stored by a bedplate that had other words.
    """
    terms = decode(Terms, record.terms)
    deadline_s = None if terms.deadline_s is None else record.submitted_at_s + terms.deadline_s
    return Job(
        id=record.id,
        name=record.name,
        tenant=record.tenant,
        user=record.user,
        request=decode(Request, record.request),
        submitted_s=record.submitted_at_s,
        priority=record.priority,
        kind=terms.kind,
        expected_s=terms.expected_s,
        deadline_s=deadline_s,
        is_preemptible=terms.is_preemptible,
        grace_s=terms.grace_s,
    )


def placed_as_json(placed: Placed) -> JsonObject:
    """The form in which the state keeps it."""
    return {  # written out: a pass may have thousands of them
        "allocation": {
            "model": placed.allocation.model,
            "places": [{"node": place.node, "devices": list(place.devices)} for place in placed.allocation.places],
        },
        "nodes": [{"node": part.node, "cores": list(part.cores), "devices": list(part.devices)} for part in placed.nodes],
    }


def placed_from_json(document: JsonObject) -> Placed:
    """Inverse of `placed_as_json`.

    Raises:
        MessageError: It was stored by a bedplate that had other words.
    """
    return decode(Placed, document)


def workers_by_node(places: tuple[WorkerPlace, ...]) -> Mapping[str, list[WorkerPlace]]:
    """Places by node, in order."""
    found: dict[str, list[WorkerPlace]] = {}
    for place in places:
        found.setdefault(place.node, []).append(place)
    return found
