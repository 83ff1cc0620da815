"""Requests that nothing here can ever run, and the nearest one that could.

Judged by what the cluster has, not by what is free, drained nodes included, and by the limits of the tenant.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bedplate.compute.scheduler.entry import Entry
from bedplate.compute.scheduler.gang import most_workers
from bedplate.compute.scheduler.job import WHOLE, Request, Topology
from bedplate.compute.scheduler.ledger import MILLI
from bedplate.compute.scheduler.needs import MIB, Variant, fewest, variant_of
from bedplate.compute.scheduler.placement.arrays import Ints, States
from bedplate.compute.scheduler.room import room
from bedplate.compute.scheduler.tenants import ANY_MODEL, CPU
from bedplate.core.units import format_bytes

if TYPE_CHECKING:
    from bedplate.compute.scheduler.state import SchedulerState


def refusal(state: SchedulerState, entry: Entry) -> tuple[str, str] | None:
    """Why a job can never run, and the nearest request that could be met; None if it can, or if there is no node yet."""
    if not state.nodes.machines:
        return None
    request, variants = entry.job.request, entry.shape.variants
    fitting = [variant for variant in variants if _most(state, request, variant) >= fewest(request)]
    if not fitting:
        return _why_not(state, request), _nearest(state, request)
    limits = [_limit(state, entry, variant) for variant in fitting]
    if all(limits):
        return limits[0], f"a request within the limit of {limits[0].rpartition('limit of ')[2]}"
    within = [variant for variant, limit in zip(fitting, limits, strict=True) if not limit]
    if not entry.job.is_preemptible and not any(_leaves_guarantees(state, entry, variant) for variant in within):
        return "it cannot be preempted, and what it needs is guaranteed to other tenants", "the same job, preemptible"
    return None


def empty_states(state: SchedulerState) -> States:
    """All nodes as if nothing ran on them and all could be used; 0 where a node was removed."""
    cluster = state.nodes.cluster
    free = cluster.free
    is_there_N = np.zeros(len(cluster.nodes), bool)
    is_there_N[[cluster.index_of(node_id) for node_id in state.nodes.machines]] = True
    has_NG = np.arange(free.shares.shape[1]) < free.devices[:, None]
    return States(
        cpu=np.array([node.cpu_milli for node in cluster.nodes], np.int64) * is_there_N,
        memory=np.array([node.memory_mib for node in cluster.nodes], np.int64) * is_there_N,
        shares=np.where(has_NG & is_there_N[:, None], WHOLE, 0).astype(np.int64),
        devices=free.devices,
        model=free.model,
    )


def _most(state: SchedulerState, request: Request, variant: Variant) -> int:
    """The most workers that the empty cluster has room for; O(nodes) once for each shape and set of nodes."""
    key = (state.nodes.changes, variant.item, request.topology, tuple(sorted(request.labels.items())))
    cached = state.most_workers.get(key)
    if cached is None:
        if state.empty is None or state.empty[0] != state.nodes.changes:
            state.empty = (state.nodes.changes, empty_states(state))
            state.most_workers.clear()
        cached = _count(state, request, variant.item, state.empty[1])
        state.most_workers[key] = cached
    return cached


def _count(state: SchedulerState, request: Request, item: int, empty: States) -> int:
    room_N: Ints = room(empty, state.nodes.cluster.requests, item, np.arange(len(empty.cpu)))
    labelled_N = state.nodes.labelled(request.labels)
    if labelled_N is not None:
        room_N = room_N * labelled_N
    return most_workers(room_N, state.nodes.leaf_N, request.topology)


def _leaves_guarantees(state: SchedulerState, entry: Entry, variant: Variant) -> bool:
    """Whether others keep what they are guaranteed if a job holds its places for good and nobody else does."""
    charge = state.charge_of(variant, entry.fewest)
    return state.ledger.may_pin(entry.tenant, charge, state.nodes.capacity, is_empty=True)


def _limit(state: SchedulerState, entry: Entry, variant: Variant) -> str:
    """The limit of a tenant that the job alone exceeds; empty if there is none."""
    charge = state.charge_of(variant, entry.fewest)
    for member in entry.tenant.line:
        for resource, amount in charge:
            most = member.limit.get(resource)
            if most is not None and amount > most:
                wants, may = f"{amount / MILLI:g} {_name(resource)}", f"{most / MILLI:g}"
                return f"it needs {wants}, more than the limit of {may} of tenant '{member.path}'"
    return ""


def _name(resource: str) -> str:
    return {ANY_MODEL: "device units", CPU: "cores"}.get(resource, resource)


def _why_not(state: SchedulerState, request: Request) -> str:
    models = state.catalog.accepted(request)
    if not models:
        there = ", ".join(sorted(model for model in state.nodes.cluster.models if model)) or "no accelerators"
        return f"no node has {' or '.join(request.accelerators) or 'accelerators'}{_with_memory(request)}; nodes have {there}"
    most = max(_most(state, request, variant_of(state.nodes.cluster, request, model)) for model in models)
    where = {Topology.ANY: "the cluster", Topology.SAME_LEAF: "one leaf", Topology.SAME_NODE: "one node"}[request.topology]
    if most:
        return f"{where} has room for {most} of {fewest(request)} workers when it is empty"
    return "no node has room for one worker when it is empty"


def _with_memory(request: Request) -> str:
    return f" with {format_bytes(request.device_memory_bytes)} for a worker" if request.device_memory_bytes else ""


def _nearest(state: SchedulerState, request: Request) -> str:
    """The first smaller wish that could be met."""
    for text, smaller in _smaller(state, request):
        variants = [variant_of(state.nodes.cluster, smaller, model) for model in state.catalog.accepted(smaller)]
        most = max((_most(state, smaller, variant) for variant in variants), default=0)
        if most >= fewest(smaller):
            return text
        if most and fewest(smaller) == fewest(request):
            return f"{text}{' and ' if text else ''}{most} workers"
    return ""


def _smaller(state: SchedulerState, request: Request) -> Iterator[tuple[str, Request]]:
    """One wish less each, those that change least for the job first."""
    yield "", request
    if request.topology is not Topology.ANY:
        yield "topology any", replace(request, topology=Topology.ANY)
    if request.labels:
        yield "no labels", replace(request, labels={})
    if request.accelerators:
        yield "any accelerator", replace(request, accelerators=())
    nodes = [node for at, node in enumerate(state.nodes.cluster.nodes) if state.nodes.is_there(at)]
    most_cpu = max((node.cpu_milli for node in nodes), default=0)
    most_memory = max((node.memory_mib for node in nodes), default=0)
    if request.cpu_milli > most_cpu:
        yield f"{most_cpu / MILLI:g} cores a worker", replace(request, cpu_milli=most_cpu)
    if request.memory_bytes > most_memory * MIB:
        yield f"{format_bytes(most_memory * MIB)} of memory a worker", replace(request, memory_bytes=most_memory * MIB)
    if request.device_memory_bytes:
        yield "less device memory", replace(request, device_memory_bytes=0)
    most_devices = max((node.num_devices for node in nodes), default=0)
    if request.devices > most_devices > 0:
        yield f"{most_devices} accelerators a worker", replace(request, devices=most_devices)
    if request.devices:
        yield (
            "any accelerator, no memory, labels or topology",
            replace(request, accelerators=(), device_memory_bytes=0, labels={}, topology=Topology.ANY),
        )
