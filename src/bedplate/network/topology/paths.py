"""All paths that routing offers a flow: the shortest ones of the wiring, those over a dead link withdrawn.

Distances are those of the intact wiring, so a failure never opens a detour through another leaf: real leaf-spine
routing withdraws, it does not bounce between tiers (RFC 7938, section 5). Hosts never carry others' traffic. Paths
between switches are found once for each pair of switches, O(paths * hops) each.

Shape suffixes: F flows, P paths, H hops, E links.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bedplate.core.collectives import Flow
from bedplate.core.errors import UsageError, did_you_mean
from bedplate.network.topology.fabric import Bools, Fabric, Floats, Ints

_MAX_PATHS = 4096


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Routes:
    """Flows, and every path that each may take; read only."""

    fabric: Fabric
    flows: tuple[Flow, ...]
    hops_FPH: Ints
    """Link ids; -1 pads short paths at the end, and flows with fewer paths. The first path of a flow always exists."""
    live_FP: Bools
    """Paths that exist and cross no dead link."""
    nic_bytes_per_s_F: Floats
    """Rate of the source's fastest link as wired: what "100 %" means for the flow."""

    @property
    def is_routable(self) -> Bools:
        """Flows that have a live path."""
        routable_F: Bools = np.logical_or.reduce(self.live_FP, axis=1)
        return routable_F


def find_routes(fabric: Fabric, flows: Sequence[Flow]) -> Routes:
    """The paths of `flows` through `fabric`.

    Raises:
        UsageError: No flows, a flow to nowhere or to itself, hosts that no path joins, or more than 4,096 shortest
            paths between two hosts.
    """
    if not flows:
        raise UsageError("there is no traffic: the job exchanges nothing between hosts", expected="at least one flow")
    finder = _PathFinder(fabric)
    paths = [finder.between(*_ends(fabric, flow)) for flow in flows]
    num_hops = max(len(path) for found in paths for path in found)
    hops_FPH = np.full((len(flows), max(map(len, paths)), num_hops), -1, dtype=np.int64)
    for row, found in zip(hops_FPH, paths, strict=True):
        for slot, path in zip(row, found, strict=False):
            slot[: len(path)] = path
    capacity_E = np.append(fabric.capacity_bytes_per_s_E, np.inf)  # index -1: padding never kills a path
    live_FP = (capacity_E[hops_FPH] > 0).all(axis=2) & (hops_FPH[:, :, 0] >= 0)
    return Routes(
        fabric=fabric,
        flows=tuple(flows),
        hops_FPH=hops_FPH,
        live_FP=live_FP,
        nic_bytes_per_s_F=np.array([finder.nic_bytes_per_s(fabric.nodes[flow.source]) for flow in flows]),
    )


def _ends(fabric: Fabric, flow: Flow) -> tuple[int, int]:
    for name in (flow.source, flow.target):
        if fabric.nodes.get(name, len(fabric.topology.hosts)) >= len(fabric.topology.hosts):
            raise UsageError(
                "a flow begins or ends at a host that does not exist",
                seen=name,
                expected=f"one of the {len(fabric.topology.hosts)} hosts of {fabric.topology.name}",
                next_step=did_you_mean(name, fabric.topology.hosts),
            )
    if flow.source == flow.target:
        raise UsageError("a flow goes from a host to itself", seen=flow.source, expected="two different hosts")
    return fabric.nodes[flow.source], fabric.nodes[flow.target]


class _PathFinder:
    """Shortest paths as lists of link ids; keeps what it found between each pair of switches."""

    def __init__(self, fabric: Fabric) -> None:
        self._fabric = fabric
        self._num_hosts = len(fabric.topology.hosts)
        self._out: list[list[tuple[int, int]]] = [[] for _ in fabric.nodes]
        self._into: list[list[tuple[int, int]]] = [[] for _ in fabric.nodes]
        for link, (source, target) in enumerate(zip(fabric.source_E.tolist(), fabric.target_E.tolist(), strict=True)):
            self._out[source].append((link, target))
            self._into[target].append((link, source))
        self._distances: dict[int, dict[int, int]] = {}
        self._between_switches: dict[tuple[int, int], list[tuple[int, ...]]] = {}

    def nic_bytes_per_s(self, host: int) -> float:
        return float(max(self._fabric.wired_bytes_per_s_E[link] for link, _ in self._out[host]))

    def between(self, source: int, target: int) -> list[tuple[int, ...]]:
        """All shortest paths from host to host, in a fixed order."""
        direct: list[tuple[int, ...]] = [(link,) for link, node in self._out[source] if node == target]
        if direct:
            return direct
        offers = [
            (self._distance(first, last), up, first, last, down)
            for up, first in self._out[source]
            for down, last in self._into[target]
            if first >= self._num_hosts and last >= self._num_hosts
        ]
        shortest = min((offer[0] for offer in offers), default=np.inf)
        if shortest == np.inf:
            names = self._fabric.topology.hosts
            raise UsageError(
                "no path joins two hosts", seen=f"{names[source]} and {names[target]}", expected="a connected fabric"
            )
        return [
            (up, *middle, down)
            for distance, up, first, last, down in offers
            if distance == shortest
            for middle in self._switch_paths(first, last)
        ]

    def _distance(self, source: int, target: int) -> float:
        """Hops between two switches, over switches only; infinite where no path joins them."""
        if target not in self._distances:
            found, waiting = {target: 0}, deque([target])
            while waiting:
                node = waiting.popleft()
                for _, before in self._into[node]:
                    if before >= self._num_hosts and before not in found:
                        found[before] = found[node] + 1
                        waiting.append(before)
            self._distances[target] = found
        return self._distances[target].get(source, np.inf)

    def _switch_paths(self, source: int, target: int) -> list[tuple[int, ...]]:
        if (source, target) not in self._between_switches:
            self._between_switches[source, target] = self._descend(source, target)
        return self._between_switches[source, target]

    def _descend(self, source: int, target: int) -> list[tuple[int, ...]]:
        if source == target:
            return [()]
        left = self._distance(source, target) - 1
        paths = [
            (link, *rest)
            for link, node in self._out[source]
            if node >= self._num_hosts and self._distance(node, target) == left
            for rest in self._switch_paths(node, target)
        ]
        if len(paths) > _MAX_PATHS:
            names = self._fabric.topology.switches
            ends = f"{names[source - self._num_hosts]} and {names[target - self._num_hosts]}"
            raise UsageError(
                "too many shortest paths between two switches",
                seen=f"{len(paths)} between {ends}",
                expected=f"at most {_MAX_PATHS}",
            )
        return paths
