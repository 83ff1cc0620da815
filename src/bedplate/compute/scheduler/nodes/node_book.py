"""The nodes that the scheduler has: what is free on them, which may be used and why not, and what they add up to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from bedplate.compute.scheduler.job import WHOLE
from bedplate.compute.scheduler.nodes.needs import accelerators, cluster_node, failed_devices
from bedplate.compute.scheduler.placement.arrays import Bools, grown
from bedplate.compute.scheduler.placement.cluster import Cluster
from bedplate.compute.scheduler.quota.capacity import Capacity
from bedplate.compute.scheduler.quota.tenants import ANY_MODEL, CPU, MEMORY
from bedplate.core.devices import Node as Machine
from bedplate.core.errors import NotFoundError

MAX_DEVICES = 62
"""Accelerators of one node: bits of an integer."""
LEAF = "leaf"


class NodeBook:
    """Has one owner, the state."""

    def __init__(self, machines: Iterable[Machine], units: Mapping[str, float]) -> None:
        machines = list(machines)
        self.cluster = Cluster([cluster_node(machine) for machine in machines])
        self.machines: dict[str, Machine] = {}
        self.reasons: dict[str, str] = {}
        """Why a node is not usable, by its id."""
        self.capacity = Capacity()
        self.changes = 0
        """Grows with every change of what nodes there are or may be used."""
        self._units = units
        self.usable_NG = self._usable_NG = np.zeros((0, MAX_DEVICES + 1), bool)
        """Whether each device may be used; in the last column, whether the node may be. Do not change it."""
        self.leaf_N = self._leaf_N = np.zeros(0, np.int64)
        """Index of the leaf switch of each node; a node without the label hangs under one of its own. Do not change it."""
        self._leaves: dict[str, int] = {}
        self._labelled: dict[tuple[tuple[str, str], ...], Bools] = {}
        for at, machine in enumerate(machines):
            self._enter(at, machine)

    def add(self, machine: Machine) -> int:
        """Index of a new node.

        Raises:
            UsageError: It is there already.
        """
        at = self.cluster.add_node(cluster_node(machine))
        self._enter(at, machine)
        return at

    def relabel(self, machine: Machine) -> int:
        """Index of a node that is there, whose labels are these from now on."""
        at = self.index_of(machine.id)
        self.machines[machine.id] = machine
        self.cluster.rehang(at, cluster_node(machine))
        self._hang(at, machine)
        self._changed()
        return at

    def remove(self, node_id: str) -> int:
        """Index that a node had which is gone; what is held on it can still be released."""
        at = self.index_of(node_id)
        if self._usable_NG[at, -1]:
            self._count(node_id, -1)
        self.cluster.remove_node(at)
        self._usable_NG[at] = False
        del self.machines[node_id]
        self.reasons.pop(node_id, None)
        self._changed()
        return at

    def set_usable(self, node_id: str, is_usable: bool, reason: str) -> None:
        """Whether anything new may be placed on a node."""
        at = self.index_of(node_id)
        if bool(self._usable_NG[at, -1]) != is_usable:
            self._count(node_id, 1 if is_usable else -1)
            self._usable_NG[at, -1] = is_usable
            self.cluster.set_usable(at, is_usable)
            self._changed()
        if is_usable:
            self.reasons.pop(node_id, None)
        else:
            self.reasons[node_id] = reason

    def set_device_usable(self, node_id: str, position: int, is_usable: bool) -> None:
        """The same of one accelerator."""
        at = self.index_of(node_id)
        is_counted = bool(self._usable_NG[at, -1])
        if is_counted:
            self._count(node_id, -1)
        self._usable_NG[at, position] = is_usable
        self.cluster.set_device_usable(at, position, is_usable)
        if is_counted:
            self._count(node_id, 1)
        self._changed()

    def is_there(self, at: int) -> bool:
        """Whether the node of that index was not removed."""
        name = self.cluster.nodes[at].name
        return name in self.machines and self.cluster.index_of(name) == at

    def index_of(self, node_id: str) -> int:
        """Index of a node.

        Raises:
            NotFoundError: There is none of that name.
        """
        try:
            return self.cluster.index_of(node_id)
        except KeyError:
            raise NotFoundError("no such node", seen=node_id, expected="a node that was added and not lost") from None

    def labelled(self, labels: Mapping[str, str]) -> Bools | None:
        """Nodes that have all of these labels, shape (N,); None without any. Do not change it."""
        if not labels:
            return None
        key = tuple(sorted(labels.items()))
        if (known := self._labelled.get(key)) is None:
            known = self._labelled[key] = np.zeros(len(self.cluster.nodes), bool)
            for node_id, machine in self.machines.items():
                known[self.cluster.index_of(node_id)] = all(machine.labels.get(name) == value for name, value in key)
        return known

    def _enter(self, at: int, machine: Machine) -> None:
        assert len(accelerators(machine)) <= MAX_DEVICES
        self.machines[machine.id] = machine
        self._usable_NG = grown(self._usable_NG, (len(self.cluster.nodes), MAX_DEVICES + 1), False)
        self._leaf_N = grown(self._leaf_N, (len(self.cluster.nodes),))
        self.usable_NG, self.leaf_N = self._usable_NG[: len(self.cluster.nodes)], self._leaf_N[: len(self.cluster.nodes)]
        self._usable_NG[at] = True
        self._hang(at, machine)
        for position in failed_devices(machine):
            self._usable_NG[at, position] = False
            self.cluster.set_device_usable(at, position, False)
        self._count(machine.id, 1)
        self._changed()

    def _hang(self, at: int, machine: Machine) -> None:
        """Under its leaf switch."""
        self._leaf_N[at] = self._leaves.setdefault(machine.labels.get(LEAF, f"\0{machine.id}"), len(self._leaves))

    def _count(self, node_id: str, sign: int) -> None:
        machine, at = self.machines[node_id], self.cluster.index_of(node_id)
        node = self.cluster.nodes[at]
        amounts = [(CPU, node.cpu_milli), (MEMORY, node.memory_mib)]
        for position, model in enumerate(device.model for device in accelerators(machine)):
            if self._usable_NG[at, position]:
                amounts += [(model, WHOLE), (ANY_MODEL, round(WHOLE * self._units.get(model, 1.0)))]
        for resource, amount in amounts:
            self.capacity.amounts[resource] = self.capacity.of(resource) + sign * amount

    def _changed(self) -> None:
        self.changes += 1
        self.capacity.changes += 1
        self._labelled.clear()
