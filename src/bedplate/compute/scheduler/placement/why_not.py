"""Why a request fits nowhere: the filter that rejected each node, and what was short there.

Filters are asked in one order, and the first that rejects a node counts: may it be used at all, the caller's own (topology,
reservations, tenants), has it devices of an accepted model, is it large enough when it is empty, has it enough free.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bedplate.compute.scheduler.placement.arrays import Bools, Ints
from bedplate.compute.scheduler.placement.candidates import fits
from bedplate.compute.scheduler.placement.cluster import Cluster
from bedplate.compute.scheduler.placement.request import WHOLE


class Filter(enum.StrEnum):
    """What rejects a node; a filter of the caller's has a name of its own."""

    UNUSABLE = "not usable"
    MODEL = "no device of the model"
    SIZE = "too small"
    CPU = "too little free CPU"
    MEMORY = "too little free memory"
    DEVICES = "too few free devices"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WhyNot:
    """The answer for one request class."""

    cluster: Cluster
    item: int
    filter_of: Mapping[int, str]
    """Node -> the filter that rejected it, of the nodes that were rejected."""
    num_fitting: int
    """Nodes that take it now."""

    @property
    def counts(self) -> dict[str, int]:
        """How many nodes each filter rejected, the most first."""
        return dict(Counter(self.filter_of.values()).most_common())

    def __str__(self) -> str:
        rejected = ", ".join(f"{name}: {count}" for name, count in self.counts.items())
        return f"{self.num_fitting} of {self.num_fitting + len(self.filter_of)} nodes fit" + (
            f"; {rejected}" if rejected else ""
        )

    def text(self, node: int) -> str:
        """What one node has and what was needed."""
        have, need, free = self.cluster.nodes[node], self.cluster.classes[self.item], self.cluster.free
        reason = self.filter_of.get(node)
        texts: dict[str | None, str] = {
            None: "it fits",
            Filter.UNUSABLE: "it is drained, unhealthy or gone",
            Filter.MODEL: f"has {have.num_devices} x {'|'.join(sorted(set(have.models))) or 'no device'}, "
            f"{'|'.join(need.models) or 'any model'} is needed",
            Filter.SIZE: f"has {have.num_devices} devices, {have.cpu_milli} mCPU, {have.memory_mib} MiB in all; needed: {need}",
            Filter.CPU: f"{free.cpu[node]} of {have.cpu_milli} mCPU are free, {need.cpu_milli} needed",
            Filter.MEMORY: f"{free.memory[node]} of {have.memory_mib} MiB are free, {need.memory_mib} needed",
            Filter.DEVICES: f"free on its devices: {free.shares[node, : have.num_devices].tolist()}, "
            f"{need.num_devices} x {need.share_milli}/{WHOLE} needed",
        }
        return f"{have.name}: {texts.get(reason, str(reason))}"


def why_not(cluster: Cluster, item: int, own: Mapping[str, Bools] | None = None) -> WhyNot:
    """Which filter rejects which node for class `item`.

    Args:
        cluster: As it is now.
        item: Index of the class.
        own: The caller's filters by name: nodes that they allow, shape (N,); asked in this order.
    """
    nodes = cluster.present()
    need, free = cluster.requests, cluster.free
    fits_K = cluster.usable_N[nodes] & fits(free, need, item, nodes)
    has_K = devices_of_models(cluster, int(need.models[item]), nodes)
    cpu_K, memory_K = (np.array([getattr(cluster.nodes[node], name) for node in nodes]) for name in ("cpu_milli", "memory_mib"))
    is_large_K = (cpu_K >= need.cpu[item]) & (memory_K >= need.memory[item]) & (has_K >= need.devices[item])
    passes = {
        Filter.UNUSABLE: cluster.usable_N[nodes],
        **{name: allowed_N[nodes] for name, allowed_N in (own or {}).items()},
        Filter.MODEL: (has_K > 0) | (need.devices[item] == 0),
        Filter.SIZE: is_large_K,
        Filter.CPU: free.cpu[nodes] >= need.cpu[item],
        Filter.MEMORY: free.memory[nodes] >= need.memory[item],
        Filter.DEVICES: fits_K,
    }
    names = np.array(list(passes), object)
    rejects_KF = ~np.column_stack(list(passes.values()))
    is_rejected_K = rejects_KF.any(axis=1)
    first_K = rejects_KF.argmax(axis=1)
    rejected = zip(nodes[is_rejected_K].tolist(), names[first_K[is_rejected_K]].tolist(), strict=True)
    return WhyNot(cluster=cluster, item=item, filter_of=dict(rejected), num_fitting=int((~is_rejected_K).sum()))


def devices_of_models(cluster: Cluster, models: int, nodes: Ints) -> Ints:
    """How many devices of one accepted model each node has, the most of any; `models` are bits; shape (len(nodes),)."""
    free = cluster.free
    is_there_KG = np.arange(free.model.shape[1]) < free.devices[nodes, None]
    most_K = np.zeros(len(nodes), np.int64)
    for bit in range(len(cluster.models)):
        if (models >> bit) & 1:
            most_K = np.maximum(most_K, (is_there_KG & (free.model[nodes] == bit)).sum(axis=1))
    return most_K
