"""How people name this engine: `local`, or `local://CORES` for some of its cores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bedplate.core.allocation import NodeAllocation, allocated
from bedplate.core.devices import Node
from bedplate.core.errors import UsageError
from bedplate.engines.local.engine import LocalEngine
from bedplate.engines.node_reader import read_node


def open_engine(root: Path, location: str, node_reader: str, *, only: Sequence[NodeAllocation] = ()) -> LocalEngine:
    """The engine of this machine; see `engines/base.EngineOpener`.

    Args:
        root: Logs and scratch directories go here.
        location: Cores that it may use, `0,2,3`; one that is named twice takes two tasks. Empty: all that this process may
            use, once.
        node_reader: What reads this machine.
        only: What of it a scheduler has given; all where nothing is named.

    Raises:
        UsageError: The location is no list of cores of this machine.
        ResourcesError: `only` names another machine.
        UnavailableError: Not on Linux.
    """
    node = read_node(node_reader)
    if not location:
        return LocalEngine(root, _part(node, only))
    words = location.split(",")
    if not all(word.isdecimal() for word in words):
        raise UsageError("the local engine is this machine", seen=f"local://{location}", expected="local, or local://0,1")
    return LocalEngine(root, _part(node.with_cores(map(int, words)), only))


def _part(node: Node, only: Sequence[NodeAllocation]) -> Node:
    return allocated((node,), only)[0] if only else node
