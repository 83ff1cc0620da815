"""Failed links: taken down in both directions, as a broken cable is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bedplate.core.errors import NotFoundError, did_you_mean
from bedplate.core.topology import Topology


def fail_links(topology: Topology, names: Sequence[str]) -> Topology:
    """The fabric with the named links down in both directions; `leaf0-spine1` and `spine1-leaf0` are one cable.

    Raises:
        NotFoundError: No such link; names the nearest one.
    """
    ends = {link.name: frozenset((link.source, link.target)) for link in topology.links}
    for name in names:
        if name not in ends:
            raise NotFoundError(
                "no such link",
                seen=name,
                expected=f"one of the {len(ends)} links of {topology.name}, like {_example(topology)}",
                next_step=did_you_mean(name, ends),
            )
    failed = {ends[name] for name in names}
    links = tuple(replace(link, up=link.up and ends[link.name] not in failed) for link in topology.links)
    return replace(topology, links=links)


def _example(topology: Topology) -> str:
    switches = set(topology.switches)
    return next((link.name for link in topology.links if {link.source, link.target} <= switches), topology.links[0].name)
