"""Which rank runs on which host. What a ring costs the fabric is decided here before any path is chosen."""

from __future__ import annotations

import enum
from collections.abc import Sequence

from bedplate.core.errors import UsageError
from bedplate.core.topology import Topology


class RankOrder(enum.StrEnum):
    """How a job's ranks are distributed over hosts, one rank per host."""

    SPREAD = "spread"
    """Round robin over the leaves (Slurm's cyclic distribution): each neighbour in the ring is on another leaf."""
    PACKED = "packed"
    """Leaf after leaf (Slurm's block distribution): only one neighbour of each leaf is on another."""


def hosts_by_leaf(topology: Topology) -> tuple[tuple[str, ...], ...]:
    """Hosts of each leaf, leaves and hosts in the order of the topology; a host of several leaves counts at its first.

    A leaf is a switch with at least one host attached.
    """
    hosts, groups = set(topology.hosts), {switch: list[str]() for switch in topology.switches}
    leaf_of: dict[str, str] = {}
    for link in topology.links:
        if link.source in hosts and link.target in groups:
            leaf_of.setdefault(link.source, link.target)
    for host in topology.hosts:
        if host in leaf_of:
            groups[leaf_of[host]].append(host)
    return tuple(tuple(group) for group in groups.values() if group)


def place_ranks(topology: Topology, world_size: int, order: RankOrder) -> tuple[str, ...]:
    """Host of each rank, one rank per host.

    Raises:
        UsageError: More ranks than hosts.
    """
    if world_size > len(topology.hosts):
        raise UsageError(
            "the job has more ranks than the fabric has hosts",
            seen=f"{world_size} ranks",
            expected=f"at most {len(topology.hosts)} on {topology.name}",
            next_step="take a larger fabric",
        )
    groups = hosts_by_leaf(topology)
    return (_round_robin(groups) if order is RankOrder.SPREAD else sum(groups, ()))[:world_size]


def _round_robin(groups: Sequence[Sequence[str]]) -> tuple[str, ...]:
    rounds = range(max(map(len, groups), default=0))
    return tuple(group[slot] for slot in rounds for group in groups if slot < len(group))
