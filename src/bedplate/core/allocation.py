"""What of a cluster a job may use: some cores and accelerators of some nodes, as a scheduler gave them to it.

An engine that is opened for an allocation shows and places on nothing else. So several jobs, each with a process and an engine
of its own, share machines without knowing of each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from bedplate.core.devices import Device, Node
from bedplate.core.errors import ResourcesError


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAllocation:
    """What a job has of one node."""

    node: str
    """`Node.id`."""
    cores: tuple[int, ...] = ()
    """A core that the node lists twice may be named twice."""
    devices: tuple[str, ...] = ()
    """`Device.id` of its accelerators."""

    def of(self, node: Node) -> Node:
        """`node` with nothing but this in it; an accelerator that has gone since is left out.

        Raises:
            UsageError: A core that the node does not have.
        """
        mine = node.with_cores(self.cores)
        return replace(mine, devices=tuple(device for device in mine.devices if self._has(device)))

    def _has(self, device: Device) -> bool:
        return device.kind == "cpu" or device.id in self.devices


def allocated(nodes: Iterable[Node], allocation: Sequence[NodeAllocation]) -> tuple[Node, ...]:
    """Those of `nodes` that are in the allocation, with what it has of them; one that has gone is left out.

    Raises:
        ResourcesError: None of them is there.
    """
    parts = {part.node: part for part in allocation}
    nodes = list(nodes)
    mine = tuple(parts[node.id].of(node) for node in nodes if node.id in parts)
    if not mine:
        raise ResourcesError(
            "no node of this job is there any more",
            seen=", ".join(node.id for node in nodes) or "no node",
            expected=", ".join(parts),
            next_step="submit it again: it is placed anew",
        )
    return mine
