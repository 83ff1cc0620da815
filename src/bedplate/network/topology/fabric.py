"""A topology as arrays, for the solvers. E counts links (edges), one for each direction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bedplate.core.topology import Topology

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]
Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fabric:
    """Links by number; read only."""

    topology: Topology
    nodes: Mapping[str, int]
    """Number of each node: hosts in order, then switches."""
    source_E: Ints
    target_E: Ints
    wired_bytes_per_s_E: Floats
    """Capacity that the link has when it is up."""
    capacity_bytes_per_s_E: Floats
    """Capacity now: 0 for a link that is down."""
    joins_switches_E: Bools
    """Links of the fabric proper: both ends are switches."""

    @classmethod
    def of(cls, topology: Topology) -> Fabric:
        """Arrays of a topology; O(links)."""
        nodes = {name: number for number, name in enumerate(topology.hosts + topology.switches)}
        source_E = np.array([nodes[link.source] for link in topology.links], dtype=np.int64)
        target_E = np.array([nodes[link.target] for link in topology.links], dtype=np.int64)
        wired_E = np.array([link.capacity_bytes_per_s for link in topology.links])
        num_hosts = len(topology.hosts)
        return cls(
            topology=topology,
            nodes=nodes,
            source_E=source_E,
            target_E=target_E,
            wired_bytes_per_s_E=wired_E,
            capacity_bytes_per_s_E=wired_E * np.array([link.up for link in topology.links]),
            joins_switches_E=(source_E >= num_hosts) & (target_E >= num_hosts),
        )

    @property
    def num_links(self) -> int:
        """Directed links, up or down."""
        return len(self.source_E)
