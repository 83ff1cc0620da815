"""The machines of a simulated cluster, from a file or from words."""

from __future__ import annotations

from collections.abc import Sequence

from bedplate.compute.scheduler.job import WHOLE
from bedplate.compute.scheduler.placement.request import Node as PlacementNode
from bedplate.core.devices import Device, Node

_MIB = 1 << 20


def machines(nodes: Sequence[PlacementNode], nodes_per_leaf: int) -> list[Node]:
    """Nodes as the scheduler is told of them, so many in a row under one leaf switch."""
    return [_machine(node, f"leaf-{at // nodes_per_leaf}") for at, node in enumerate(nodes)]


def _machine(node: PlacementNode, leaf: str) -> Node:
    memory_bytes = node.memory_mib * _MIB
    cpu = Device(
        id="cpu:0",
        kind="cpu",
        vendor="",
        model="cpu",
        memory_bytes=memory_bytes,
        cores=tuple(range(node.cpu_milli // WHOLE)),
    )
    devices = [
        Device(id=f"gpu:{at}", kind="gpu", vendor="", model=model, memory_bytes=0) for at, model in enumerate(node.models)
    ]
    return Node(id=node.name, devices=(cpu, *devices), memory_bytes=memory_bytes, labels={"leaf": leaf})
