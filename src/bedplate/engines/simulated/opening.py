"""How people name this engine: `simulated`, or `simulated://NODESxCORES`."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from bedplate.core.clock import VirtualClock
from bedplate.core.devices import Node
from bedplate.core.errors import UsageError
from bedplate.engines.node_reader import read_node
from bedplate.engines.simulated.engine import SimulatedEngine


def open_engine(root: Path, location: str, node_reader: str) -> SimulatedEngine:
    """A simulated cluster of nodes like this machine, in virtual time; see `engines/base.EngineOpener`.

    Nothing is executed: a gang runs for the duration that its tasks give, and a task that gives none is refused.

    Args:
        root: Not used; nothing is written.
        location: `NODESxCORES`; empty: one node with the cores of this machine.
        node_reader: What reads this machine.

    Raises:
        UsageError: The location is something else.
    """
    machine = read_node(node_reader)
    if not location:
        return SimulatedEngine(VirtualClock(), [machine], needs_end=True)
    match = re.fullmatch(r"([1-9][0-9]*)x([1-9][0-9]*)", location)
    if match is None:
        raise UsageError("not a simulated cluster", seen=f"simulated://{location}", expected="simulated://NODESxCORES")
    nodes = [_node_like(machine, f"node-{index}", int(match[2])) for index in range(int(match[1]))]
    return SimulatedEngine(VirtualClock(), nodes, needs_end=True)


def _node_like(machine: Node, name: str, num_cores: int) -> Node:
    cpu = replace(machine.devices[0], cores=tuple(range(num_cores)))
    return Node(id=name, devices=(cpu,), memory_bytes=machine.memory_bytes)
