"""A job takes its places, and gives them back: in the cluster, among the holdings, and in the account of its tenant."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from bedplate.compute.scheduler.entry import Entry
from bedplate.compute.scheduler.job import Allocation, WorkerPlace
from bedplate.compute.scheduler.needs import Variant, variant_of
from bedplate.compute.scheduler.placement.cluster import Taken
from bedplate.core.errors import UsageError

if TYPE_CHECKING:
    from bedplate.compute.scheduler.state import SchedulerState


def checked_places(state: SchedulerState, entry: Entry, allocation: Allocation) -> tuple[Taken, ...]:
    """What a job would take with these places; those that it has already it keeps, those of lost nodes too. Changes nothing.

    Raises:
        NotFoundError: There is no such node.
        UsageError: They are not what its request says, or somebody else holds some of it.
    """
    variant, cluster = _variant(state, entry, allocation), state.nodes.cluster
    given_up = list(zip(entry.allocation.places, entry.taken, strict=True)) if entry.allocation else []
    wanted, added = [], []
    for place in allocation.places:
        at = next((at for at, (had, _) in enumerate(given_up) if had == place), -1)
        wanted.append(given_up.pop(at)[1] if at >= 0 else _taken(state, variant, place))
        if at < 0:
            added.append(wanted[-1])
    shares_a_node = len({item.node for item in added}) < len(added)
    with cluster.trial() if given_up or shares_a_node else contextlib.nullcontext():
        for _, item in given_up:
            cluster.release(item)
        for item in added:
            if not cluster.may_occupy(item):
                raise UsageError(
                    "these places are not free",
                    seen=f"{cluster.nodes[item.node].name}, devices {item.devices}",
                    expected="devices, cores and memory that the node has and nobody holds",
                )
            if shares_a_node:
                cluster.occupy(item)
    return tuple(wanted)


def occupy(state: SchedulerState, entry: Entry, allocation: Allocation, taken: tuple[Taken, ...], now: float) -> None:
    """A job holds these places from now on.

    Args:
        state: In which.
        entry: Which job.
        allocation: Its places.
        taken: What they take; see `checked_places`.
        now: In seconds.
    """
    variant = _variant(state, entry, allocation)
    entry.model, entry.allocation, entry.resized_s = allocation.model, allocation, now
    entry.taken = taken
    for item in entry.taken:
        state.nodes.cluster.occupy(item)
    entry.slot = state.holdings.add(entry.taken, now)
    state.holdings.expect(entry.slot, now, entry.duration_s(allocation.model, len(entry.taken)))
    state.ledger.settle(entry.tenant, now)
    entry.charge = state.charge_of(variant, len(entry.taken))
    state.ledger.charge(entry.tenant, entry.charge, pinned=not entry.job.is_preemptible)


def vacate(state: SchedulerState, entry: Entry, now: float) -> None:
    """A job holds nothing any more."""
    for item in entry.taken:
        state.nodes.cluster.release(item)
    state.holdings.remove(entry.slot)
    state.ledger.settle(entry.tenant, now)
    state.ledger.charge(entry.tenant, entry.charge, -1, pinned=not entry.job.is_preemptible)
    state.memo.freed(item.node for item in entry.taken)
    entry.taken, entry.slot, entry.charge = (), -1, ()


def _variant(state: SchedulerState, entry: Entry, allocation: Allocation) -> Variant:
    return entry.shape.variant(allocation.model) or variant_of(state.nodes.cluster, entry.job.request, allocation.model)


def _taken(state: SchedulerState, variant: Variant, place: WorkerPlace) -> Taken:
    need = variant.need
    if len(place.devices) != need.num_devices:
        raise UsageError("the places are not what the job asks for", seen=place, expected=f"{need.num_devices} devices")
    return Taken(
        node=state.nodes.index_of(place.node),
        devices=place.devices,
        milli=need.share_milli,
        cpu_milli=need.cpu_milli,
        memory_mib=need.memory_mib,
    )
