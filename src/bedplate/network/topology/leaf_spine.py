"""Two-tier leaf-spine fabrics: every leaf is joined to every spine, every host to one leaf.

With as many hosts per leaf as spines and one link rate everywhere, the fabric is non-blocking: König's theorem gives each
flow of a permutation links of its own (see `balance/edge_colouring.py`). Hash ECMP does not find them.
"""

from __future__ import annotations

from bedplate.core.topology import Link, Topology
from bedplate.core.units import parse_rate

NIC_RATE_BYTES_PER_S = parse_rate("400Gb/s")


def leaf_spine(
    num_leaves: int,
    num_spines: int,
    *,
    hosts_per_leaf: int | None = None,
    rate_bytes_per_s: float = NIC_RATE_BYTES_PER_S,
) -> Topology:
    """A leaf-spine fabric; host h is attached to leaf h // hosts_per_leaf.

    Args:
        num_leaves: Leaves, at least 1.
        num_spines: Spines, at least 1.
        hosts_per_leaf: Hosts on each leaf; as many as spines where it is None (oversubscription 1:1).
        rate_bytes_per_s: Rate of every link in each direction, hosts' NICs included.

    Returns:
        Nodes `host0…`, `leaf0…`, `spine0…`; links named `source-target`, one for each direction.
    """
    hosts_per_leaf = num_spines if hosts_per_leaf is None else hosts_per_leaf
    hosts = tuple(f"host{index}" for index in range(num_leaves * hosts_per_leaf))
    leaves = tuple(f"leaf{index}" for index in range(num_leaves))
    spines = tuple(f"spine{index}" for index in range(num_spines))
    cables = [(host, leaves[index // hosts_per_leaf]) for index, host in enumerate(hosts)]
    cables += [(leaf, spine) for leaf in leaves for spine in spines]
    return Topology(
        name=f"leaf-spine:{num_leaves}x{num_spines}",
        hosts=hosts,
        switches=leaves + spines,
        links=links_of([(*cable, rate_bytes_per_s, True) for cable in cables]),
    )


def links_of(cables: list[tuple[str, str, float, bool]]) -> tuple[Link, ...]:
    """Both directions of each cable (end, end, rate in bytes/s, up), numbered in order."""
    directed = [(*ends, rate, up) for a, b, rate, up in cables for ends in ((a, b), (b, a))]
    return tuple(
        Link(id=index, name=f"{a}-{b}", source=a, target=b, capacity_bytes_per_s=rate, up=up)
        for index, (a, b, rate, up) in enumerate(directed)
    )
