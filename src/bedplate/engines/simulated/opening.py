"""How people name this engine: `simulated`, or `simulated://NODESxCORES`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bedplate.core.allocation import NodeAllocation, allocated
from bedplate.core.clock import VirtualClock
from bedplate.core.devices import Node
from bedplate.core.errors import UsageError
from bedplate.engines.node_reader import read_node
from bedplate.engines.simulated.engine import SimulatedEngine


def open_engine(root: Path, location: str, node_reader: str, *, only: Sequence[NodeAllocation] = ()) -> SimulatedEngine:
    """A simulated cluster of nodes like this machine, in virtual time; see `engines/base.EngineOpener`.

    Nothing is executed: a gang runs for the duration that its tasks give, and a task that gives none is refused.

    Args:
        root: Not used; nothing is written.
        location: `NODESxCORES`; empty: one node with the cores of this machine.
        node_reader: What reads this machine.
        only: What of the nodes a scheduler has given; all where nothing is named.

    Raises:
        UsageError: The location is something else.
    """
    machine = read_node(node_reader)
    nodes = _nodes(machine, location)
    return SimulatedEngine(VirtualClock(), allocated(nodes, only) if only else nodes, needs_end=True)


def _nodes(machine: Node, location: str) -> list[Node]:
    if not location:
        return [machine]
    match = re.fullmatch(r"([1-9][0-9]*)x([1-9][0-9]*)", location)
    if match is None:
        raise UsageError("not a simulated cluster", seen=f"simulated://{location}", expected="simulated://NODESxCORES")
    return [_node_like(machine, f"node-{index}", int(match[2])) for index in range(int(match[1]))]


def _node_like(machine: Node, name: str, num_cores: int) -> Node:
    cpu = replace(machine.devices[0], cores=tuple(range(num_cores)))
    return Node(id=name, devices=(cpu,), memory_bytes=machine.memory_bytes)
