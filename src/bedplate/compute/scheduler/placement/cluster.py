"""Nodes and requests as arrays: what placement policies compute over.

A device is divided into thousandths (`WHOLE`): a request takes a share of one device, or whole devices. Requests that
need the same are one class, and policies reason about classes: a cluster meets a few hundred of them, however many
requests arrive.

Shape suffixes: N nodes, G devices of a node (0 where it has fewer), C classes, M candidate states.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from bedplate.compute.scheduler.job import WHOLE as WHOLE
from bedplate.core.errors import UsageError

MAX_MODELS = 62
"""Device models that a request can choose among: bits of an integer."""

Ints: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]
Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node as it is when nothing runs on it."""

    name: str
    cpu_milli: int
    memory_mib: int
    num_devices: int
    model: str
    """Of its devices; a node has one model."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class RequestClass:
    """What one request needs."""

    cpu_milli: int
    memory_mib: int
    num_devices: int = 0
    share_milli: int = 0
    """Of each device: `WHOLE`, or less of a single one; 0 without devices."""
    models: tuple[str, ...] = ()
    """Models that it accepts, sorted; any if empty."""

    def __post_init__(self) -> None:
        is_share = 0 < self.share_milli < WHOLE and self.num_devices == 1
        is_whole = self.share_milli == WHOLE and self.num_devices >= 1
        is_without = self.share_milli == 0 and self.num_devices == 0
        if not (is_share or is_whole or is_without) or min(self.cpu_milli, self.memory_mib) < 0:
            raise UsageError(
                "a request cannot be read",
                seen=f"{self.num_devices} devices, {self.share_milli}/{WHOLE} of each, {self.cpu_milli} mCPU, "
                f"{self.memory_mib} MiB",
                expected="no device, a share of one device, or whole devices",
            )

    def __str__(self) -> str:
        devices = f"{self.num_devices} x {self.share_milli}/{WHOLE} of {'|'.join(self.models) or 'any model'}"
        return f"{devices if self.num_devices else 'no device'}, {self.cpu_milli} mCPU, {self.memory_mib} MiB"

    @property
    def device_milli(self) -> int:
        """Thousandths of devices in all."""
        return self.num_devices * self.share_milli


class States(NamedTuple):
    """Nodes in some state; a tuple, so that compiled code can take it."""

    cpu: Ints
    """Free, in thousandths of a core, shape (M,)."""
    memory: Ints
    """Free, in MiB, shape (M,)."""
    shares: Ints
    """Free thousandths of each device, shape (M, G)."""
    devices: Ints
    """Number of devices, shape (M,)."""
    model: Ints
    """Index of the model, shape (M,)."""


class Classes(NamedTuple):
    """Request classes; a tuple, so that compiled code can take it. Every array has the shape (C,)."""

    cpu: Ints
    memory: Ints
    devices: Ints
    share: Ints
    models: Ints
    """Bit i: model i is accepted."""


class Cluster:
    """Free capacity of all nodes; `place` is the only way to change it. Not thread-safe."""

    def __init__(self, nodes: Sequence[Node], classes: Sequence[RequestClass]) -> None:
        self.nodes = tuple(nodes)
        self.classes = tuple(classes)
        self.models = tuple(sorted({node.model for node in nodes}))
        if len(self.models) > MAX_MODELS:
            raise UsageError("too many device models", seen=len(self.models), expected=f"at most {MAX_MODELS}")
        width = max((node.num_devices for node in nodes), default=0)
        devices_N = np.array([node.num_devices for node in nodes], np.int64)
        self.free = States(
            cpu=np.array([node.cpu_milli for node in nodes], np.int64),
            memory=np.array([node.memory_mib for node in nodes], np.int64),
            shares=np.where(np.arange(width) < devices_N[:, None], WHOLE, 0).astype(np.int64),
            devices=devices_N,
            model=np.array([self.models.index(node.model) for node in nodes], np.int64),
        )
        self.requests = Classes(
            cpu=np.array([item.cpu_milli for item in classes], np.int64),
            memory=np.array([item.memory_mib for item in classes], np.int64),
            devices=np.array([item.num_devices for item in classes], np.int64),
            share=np.array([item.share_milli for item in classes], np.int64),
            models=np.array([self._model_bits(item) for item in classes], np.int64),
        )
        self.version_N = np.zeros(len(nodes), np.int64)
        """Changes of each node; what was computed for another version is stale."""
        self.capacity_milli = int(devices_N.sum()) * WHOLE

    def place(self, node: int, item: int, device: int) -> None:
        """Take what class `item` needs on `node`.

        Args:
            node: Index of a node where it fits.
            item: Index of the class.
            device: For a share, the device; whole devices are the first free ones.
        """
        need = self.classes[item]
        row = self.free.shares[node]
        if need.share_milli == WHOLE:
            chosen = np.flatnonzero(row == WHOLE)[: need.num_devices]
            assert len(chosen) == need.num_devices
            row[chosen] = 0
        elif need.share_milli:
            row[device] -= need.share_milli
        self.free.cpu[node] -= need.cpu_milli
        self.free.memory[node] -= need.memory_mib
        self.version_N[node] += 1
        assert min(self.free.cpu[node], self.free.memory[node], row.min(initial=0)) >= 0

    def check_integrity(self) -> None:
        """Raise AssertionError unless every node's free capacity is between nothing and what it has."""
        for node, have in enumerate(self.nodes):
            assert 0 <= self.free.cpu[node] <= have.cpu_milli
            assert 0 <= self.free.memory[node] <= have.memory_mib
            assert (self.free.shares[node] >= 0).all() and (self.free.shares[node] <= WHOLE).all()
            assert (self.free.shares[node, have.num_devices :] == 0).all()

    def _model_bits(self, item: RequestClass) -> int:
        if not item.models:
            return (1 << len(self.models)) - 1
        return sum(1 << self.models.index(model) for model in item.models if model in self.models)
