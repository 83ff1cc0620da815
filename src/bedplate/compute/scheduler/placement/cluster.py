"""A cluster: its nodes, the classes of requests it has met, and what is held.

Nodes come and go, are drained or found unhealthy, and so are single devices; requests come and leave; new classes are
registered as they are met. `trial` is for deciding without acting. See `node_states.py` for what is free and for versions.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import xxhash

from bedplate.compute.scheduler.placement.arrays import MAX_MODELS, Bools, Classes, Ints, States, grown
from bedplate.compute.scheduler.placement.class_table import ClassTable
from bedplate.compute.scheduler.placement.node_states import NodeStates
from bedplate.compute.scheduler.placement.request import WHOLE, Node, RequestClass
from bedplate.core.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What one request holds on a node: enough to release it, and to take it again after a restart."""

    node: int
    devices: tuple[int, ...]
    milli: int
    """Thousandths of each of these devices."""
    cpu_milli: int
    memory_mib: int


class Cluster:
    """Nodes that come and go, and what is free on them. Has one owner; not thread-safe."""

    def __init__(self, nodes: Sequence[Node] = (), classes: Sequence[RequestClass] = ()) -> None:
        self.nodes: list[Node] = []
        """By index; where a node was removed, what it was, until its index is used again."""
        self.models: tuple[str, ...] = ()
        """Models of all devices that there have been; the index of one is its bit."""
        self.most_cpu_milli = self.most_devices = 1
        """Of any node that there has been."""
        self.taken_milli = self.released_milli = 0
        """Thousandths of devices that were ever taken and given back, trials apart."""
        self._classes = ClassTable()
        self._index: dict[str, int] = {}
        self._vacant: list[int] = []
        self._leaf_N: Ints | None = None
        self._digest_N = np.zeros(len(nodes), np.uint64)
        self._states = NodeStates(len(nodes), max((node.num_devices for node in nodes), default=0))
        self._expose()
        self._add_models(sorted({model for node in nodes for model in (node.model, *node.device_models)}))
        for node in nodes:
            self.add_node(node)
        for need in classes:
            self.class_of(need)

    @property
    def classes(self) -> Sequence[RequestClass]:
        """The classes met so far, by index."""
        return self._classes.classes

    @property
    def requests(self) -> Classes:
        """The same as arrays."""
        return self._classes.requests

    @property
    def leaf_N(self) -> Ints:  # noqa: N802 - a shape suffix
        """Index of the leaf switch of each node, by its path; a node without a path is under one of its own."""
        if self._leaf_N is None:
            numbers = dict[tuple[str, ...], int]()
            paths = [node.path or (f"\0{node.name}",) for node in self.nodes]
            self._leaf_N = np.array([numbers.setdefault(path, len(numbers)) for path in paths], np.int64)
        return self._leaf_N

    def rehang(self, at: int, node: Node) -> None:
        """A node hangs elsewhere in the network; it has what it had."""
        self.nodes[at] = node
        self._tree = None

    @property
    def capacity_milli(self) -> int:
        """Thousandths of all devices that are usable; O(N * G)."""
        free = self.free
        has_device_NG = np.arange(free.shares.shape[1]) < free.devices[:, None]
        return int((has_device_NG & self._states.device_usable_NG & self.usable_N[:, None]).sum()) * WHOLE

    def class_of(self, need: RequestClass) -> int:
        """Index of what a request needs; registered if it is new, in a trial too, and for good."""
        return self._classes.index_of(need, self._bits())

    def index_of(self, name: str) -> int:
        """Index of the node of that name; KeyError if there is none."""
        return self._index[name]

    def present(self) -> Ints:
        """Indices of the nodes that are there, usable or not, in their order."""
        return np.array(sorted(self._index.values()), np.int64)

    def place(self, node: int, item: int, device: int = -1) -> Taken:
        """Take what class `item` needs on `node`.

        Args:
            node: Index of a node where it fits.
            item: Index of the class.
            device: For a share, the device; on a node of several models, any device of the model that whole devices shall
                have. Whole devices are the first free ones.
        """
        need = self.classes[item]
        devices: tuple[int, ...] = (device,) if need.num_devices else ()
        if need.share_milli == WHOLE:
            model_G, is_free_G = self.free.model[node], self.free.shares[node] == WHOLE
            is_free_G &= model_G == model_G[max(device, 0)]
            devices = tuple(np.flatnonzero(is_free_G)[: need.num_devices].tolist())
        assert self.usable_N[node] and len(devices) == need.num_devices, f"{need} does not fit on {self.nodes[node].name}"
        taken = Taken(node=node, devices=devices, milli=need.share_milli, cpu_milli=need.cpu_milli, memory_mib=need.memory_mib)
        self.occupy(taken)
        return taken

    def occupy(self, taken: Taken) -> None:
        """Take exactly that, on a node that is not usable too: what runs there already."""
        self._move(taken, -1)

    def may_occupy(self, taken: Taken) -> bool:
        """Whether a node has all of that and nobody holds any of it."""
        return self._may_move(taken, -1)

    def release(self, taken: Taken) -> None:
        """Give back what `place` or `occupy` took; AssertionError if it is not held."""
        self._move(taken, 1)

    def add_node(self, node: Node) -> int:
        """Index of a new, usable node: that of a removed one on which nothing is held any more, or the next.

        Raises:
            UsageError: A node of that name is there, or there are too many models of devices.
        """
        assert not self._states.is_trial, "nodes do not come and go in a trial"
        if node.name in self._index:
            raise UsageError("two nodes have one name", seen=node.name, expected="names that differ")
        self._add_models([model for model in dict.fromkeys((node.model, *node.device_models)) if model not in self.models])
        at = next((vacant for vacant in self._vacant if self._is_idle(vacant)), -1)
        if at < 0:
            at = self._states.add_row()
            self.nodes.append(node)
        else:
            self._vacant.remove(at)
        self.nodes[at] = node
        self._index[node.name] = at
        self.most_cpu_milli = max(self.most_cpu_milli, node.cpu_milli)
        self.most_devices = max(self.most_devices, node.num_devices)
        models = np.array([self.models.index(name) for name in node.models], np.int64)
        self._states.start(at, node.cpu_milli, node.memory_mib, models)
        self._expose()
        self._leaf_N = None
        self.digest_N[at] = xxhash.xxh64_intdigest(node.name.encode())
        return at

    def remove_node(self, node: int) -> None:
        """It is gone: nothing can be placed there. What is held on it can still be released."""
        assert not self._states.is_trial, "nodes do not come and go in a trial"
        self.set_usable(node, False)
        del self._index[self.nodes[node].name]
        self._vacant.append(node)

    def set_usable(self, node: int, is_usable: bool) -> None:
        """Whether anything may be placed on `node`; what runs there stays."""
        assert self._index.get(self.nodes[node].name) == node, "the node was removed"
        self._states.set_usable(node, is_usable)

    def set_device_usable(self, node: int, device: int, is_usable: bool) -> None:
        """The same of one device."""
        assert self._index.get(self.nodes[node].name) == node, "the node was removed"
        assert 0 <= device < self.nodes[node].num_devices
        self._states.set_usable(node, is_usable, device)

    def trial(self) -> AbstractContextManager[None]:
        """A `with` block at whose end everything done to nodes in it is undone; may be nested; costs what is done in it."""
        return self._states.trial()

    def check_integrity(self) -> None:
        """Raise AssertionError unless what is left of every node is between nothing and what it has, and free if usable."""
        left, free = self._states.left, self.free
        for at, have in enumerate(self.nodes):
            is_usable, shares = bool(self.usable_N[at]), left.shares[at]
            assert 0 <= left.cpu[at] <= have.cpu_milli and 0 <= left.memory[at] <= have.memory_mib
            assert (shares >= 0).all() and (shares <= WHOLE).all() and (shares[have.num_devices :] == 0).all()
            assert (free.shares[at] == shares * self._states.device_usable_NG[at] * is_usable).all()
            assert (free.cpu[at], free.memory[at]) == (left.cpu[at] * is_usable, left.memory[at] * is_usable)
            assert not is_usable or self._index[have.name] == at

    def _move(self, taken: Taken, sign: int) -> None:
        at, devices = taken.node, taken.devices
        assert self._may_move(taken, sign), f"not free, or not held: {taken}"
        if not self._states.is_trial:
            self.taken_milli += taken.milli * len(devices) * (sign < 0)
            self.released_milli += taken.milli * len(devices) * (sign > 0)
        self._states.move(at, sign * taken.cpu_milli, sign * taken.memory_mib, devices, sign * taken.milli)

    def _may_move(self, taken: Taken, sign: int) -> bool:
        at, devices = taken.node, taken.devices
        have, left = self.nodes[at], self._states.left
        if not all(0 <= device < have.num_devices for device in devices) or len(set(devices)) != len(devices):
            return False
        cpu, memory = left.cpu[at] + sign * taken.cpu_milli, left.memory[at] + sign * taken.memory_mib
        if not (0 <= cpu <= have.cpu_milli and 0 <= memory <= have.memory_mib):
            return False
        return all(0 <= left.shares[at, device] + sign * taken.milli <= WHOLE for device in devices)

    def _expose(self) -> None:
        """The arrays of the nodes that there are; what others read, and only they change."""
        self.free: States = self._states.free
        """What may be taken now, by node; all 0 where a node is not usable."""
        self.usable_N: Bools = self._states.usable_N
        """Whether a node may be used at all: there, not drained, healthy."""
        self.version_N: Ints = self._states.version_N
        """Digest of each node's free state: equal where the states are equal; not negative."""
        self._digest_N = grown(self._digest_N, (len(self.nodes),))
        self.digest_N = self._digest_N[: len(self.nodes)]
        """Digest of each node's name: an order that does not lean on how nodes were listed."""

    def _is_idle(self, node: int) -> bool:
        have, left = self.nodes[node], self._states.left
        is_held = left.cpu[node] < have.cpu_milli or left.memory[node] < have.memory_mib
        return not is_held and bool(left.shares[node].sum() == have.num_devices * WHOLE)

    def _add_models(self, models: Sequence[str]) -> None:
        if not models:
            return
        known = (*self.models, *models)
        if len(known) > MAX_MODELS:
            raise UsageError("too many device models", seen=len(known), expected=f"at most {MAX_MODELS}")
        self.models = known
        self._classes.learn_models(self._bits())

    def _bits(self) -> dict[str, int]:
        return {model: bit for bit, model in enumerate(self.models)}
