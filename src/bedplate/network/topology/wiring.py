"""Is the fabric one that flows can be simulated on? Every fault names the node or link concerned."""

from __future__ import annotations

from collections import Counter

from bedplate.core.errors import UsageError, did_you_mean
from bedplate.core.topology import Topology


def check_wiring(topology: Topology) -> None:
    """Refuse an invalid fabric.

    Raises:
        UsageError: Two nodes of one name, a link to nowhere or from a node to itself, two links between the same
            ends, a capacity that is not above 0, a host without a link, or one that no path joins to the others.
    """
    _check_names(topology)
    _check_links(topology)
    _check_connected(topology)


def _check_names(topology: Topology) -> None:
    counts = Counter(topology.hosts + topology.switches)
    if twice := [name for name, count in counts.items() if count > 1]:
        raise UsageError("two nodes have the same name", seen=", ".join(twice), expected="one name per node")
    if not topology.hosts:
        raise UsageError("the fabric has no hosts", expected="at least two hosts")


def _check_links(topology: Topology) -> None:
    nodes = set(topology.hosts + topology.switches)
    for link in topology.links:
        for end in (link.source, link.target):
            if end not in nodes:
                raise UsageError(
                    f"link '{link.name}' ends at a node that does not exist",
                    seen=end,
                    expected="a host or switch of the fabric",
                    next_step=did_you_mean(end, nodes, "add it to hosts or switches"),
                )
        if link.source == link.target:
            raise UsageError(f"link '{link.name}' joins a node to itself", seen=link.source, expected="two nodes")
        if not 0 < link.capacity_bytes_per_s < float("inf"):
            raise UsageError(
                f"the capacity of link '{link.name}' is not above 0",
                seen=f"{link.capacity_bytes_per_s:g} bytes/s",
                expected="a rate above 0",
                next_step="mark a failed link as down instead",
            )
    counts = Counter((link.source, link.target) for link in topology.links)
    if twice := [f"{a}-{b}" for (a, b), count in counts.items() if count > 1]:
        raise UsageError(
            "two links join the same nodes",
            seen=", ".join(twice),
            expected="one link per pair",
            next_step="write parallel cables as one link with the sum of their rates",
        )


def _check_connected(topology: Topology) -> None:
    neighbours: dict[str, list[str]] = {name: [] for name in topology.hosts + topology.switches}
    for link in topology.links:
        neighbours[link.source].append(link.target)
    reached, waiting = {topology.hosts[0]}, [topology.hosts[0]]
    while waiting:
        for neighbour in neighbours[waiting.pop()]:
            if neighbour not in reached:
                reached.add(neighbour)
                waiting.append(neighbour)
    if lost := [host for host in topology.hosts if host not in reached or not neighbours[host]]:
        raise UsageError(
            f"{len(lost)} of {len(topology.hosts)} hosts cannot be reached from {topology.hosts[0]}",
            seen=", ".join(lost[:8]) + (", …" if len(lost) > 8 else ""),
            expected="links that join all hosts",
        )
