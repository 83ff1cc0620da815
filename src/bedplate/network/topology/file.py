"""Reads a fabric from a YAML or JSON file of our own:

    name: two-racks
    rate: 400Gb/s                  # of links that name none
    hosts: [a, b, c, d]
    switches: [left, right, top]
    links:
      - {ends: [a, left]}
      - {ends: [left, top], rate: 200Gb/s}
      - {ends: [right, top], down: true}

A link is a cable: both directions, each at its rate. Errors carry the line. Formats of others (NCCL, SimAI, htsim,
ASTRA-sim) have readers of their own later.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

from bedplate.core.errors import ConfigurationError, NotFoundError, UsageError, did_you_mean
from bedplate.core.settings import Range, Source, read_settings, settings
from bedplate.core.topology import Topology
from bedplate.core.units import Rate
from bedplate.documents.reading import read_document
from bedplate.network.topology.leaf_spine import NIC_RATE_BYTES_PER_S, links_of
from bedplate.network.topology.wiring import check_wiring

_MAX_FILE_BYTES = 1 << 28
"""Fabrics of 100,000 cables are generated, not written by hand."""


@settings
class CableSettings:
    """One cable of the file."""

    ends: tuple[str, ...]
    """The two nodes that it joins."""
    rate: Annotated[Rate, Range(1)] | None = None
    """Rate in each direction; the file's `rate` where it is left out."""
    down: bool = False
    """Whether it has failed."""


@settings
class FabricSettings:
    """The keys of a fabric file."""

    hosts: tuple[str, ...]
    """Names of hosts, in the order that traffic patterns number them."""
    switches: tuple[str, ...]
    """Names of switches."""
    links: tuple[CableSettings, ...]
    """Cables."""
    name: str = ""
    """For people; the file's name where it is left out."""
    rate: Annotated[Rate, Range(1)] = NIC_RATE_BYTES_PER_S
    """Rate of links that name none."""


def read_topology(file: Path) -> Topology:
    """The fabric that a file describes, its wiring checked.

    Raises:
        NotFoundError: No such file.
        ConfigurationError: Not YAML, an unknown key, or an invalid wiring; names `file:line`.
    """
    if not file.is_file():
        raise NotFoundError("no such topology file", seen=file, expected="a YAML or JSON file with hosts, switches and links")
    document = read_document(file, expected="hosts, switches and links", max_bytes=_MAX_FILE_BYTES)
    source = document.source
    settings = read_settings(FabricSettings, document.value, source)
    _check_nodes(settings, source)
    cables = []
    for index, cable in enumerate(settings.links):
        _check_cable(cable, settings, source.where(("links", index)))
        rate_bytes_per_s = settings.rate if cable.rate is None else cable.rate
        cables.append((cable.ends[0], cable.ends[1], rate_bytes_per_s, not cable.down))
    topology = Topology(
        name=settings.name or file.stem, hosts=settings.hosts, switches=settings.switches, links=links_of(cables)
    )
    try:
        check_wiring(topology)
    except UsageError as error:
        raise ConfigurationError(
            error.what, where=str(file), seen=error.seen, expected=error.expected, next_step=error.next_step
        ) from error
    return topology


def _check_nodes(settings: FabricSettings, source: Source) -> None:
    names = Counter(settings.hosts + settings.switches)
    for key, group in (("switches", settings.switches), ("hosts", settings.hosts)):
        for index in reversed(range(len(group))):
            if names[group[index]] > 1:
                raise ConfigurationError(
                    "two nodes have the same name",
                    where=source.where((key, index)),
                    seen=group[index],
                    expected="one name per node",
                )


def _check_cable(cable: CableSettings, settings: FabricSettings, where: str | None) -> None:
    nodes = (*settings.hosts, *settings.switches)
    if len(cable.ends) != 2 or cable.ends[0] == cable.ends[1]:
        raise ConfigurationError(
            "a link joins two different nodes", where=where, seen=list(cable.ends), expected="ends: [host0, leaf0]"
        )
    for end in cable.ends:
        if end not in nodes:
            raise ConfigurationError(
                "a link ends at a node that does not exist",
                where=where,
                seen=end,
                expected="a name under hosts or switches",
                next_step=did_you_mean(end, nodes, "add it to hosts or switches"),
            )
