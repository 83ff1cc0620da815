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
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import yaml

from bedplate.core.errors import ConfigurationError, NotFoundError, UsageError, nearest
from bedplate.core.settings import Path as KeyPath
from bedplate.core.settings import Range, Source, read_settings
from bedplate.core.topology import Topology
from bedplate.core.units import Rate
from bedplate.network.topology.leaf_spine import NIC_RATE_BYTES_PER_S, links_of
from bedplate.network.topology.wiring import check_wiring


@dataclass(frozen=True, slots=True, kw_only=True)
class CableSettings:
    """One cable of the file."""

    ends: tuple[str, ...]
    """The two nodes that it joins."""
    rate: Annotated[Rate, Range(1)] | None = None
    """Rate in each direction; the file's `rate` where it is left out."""
    down: bool = False
    """Out of order."""


@dataclass(frozen=True, slots=True, kw_only=True)
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
        ConfigurationError: Not YAML, an unknown key, or a wiring that cannot be meant; names `file:line`.
    """
    if not file.is_file():
        raise NotFoundError("no such topology file", seen=file, expected="a YAML or JSON file with hosts, switches and links")
    value, source = _parse(file)
    settings = read_settings(FabricSettings, value, source)
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
                    expected="one name a node",
                )


def _check_cable(cable: CableSettings, settings: FabricSettings, where: str | None) -> None:
    nodes = (*settings.hosts, *settings.switches)
    if len(cable.ends) != 2 or cable.ends[0] == cable.ends[1]:
        raise ConfigurationError(
            "a link joins two different nodes", where=where, seen=list(cable.ends), expected="ends: [host0, leaf0]"
        )
    for end in cable.ends:
        if end not in nodes:
            near = nearest(end, nodes)
            raise ConfigurationError(
                "a link ends at a node that does not exist",
                where=where,
                seen=end,
                expected="a name under hosts or switches",
                next_step=f"did you mean '{near}'?" if near else "add it to hosts or switches",
            )


def _parse(file: Path) -> tuple[object, Source]:
    try:
        root = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        raise ConfigurationError(
            "not YAML or JSON; is the file cut short?",
            where=f"{file}:{mark.line + 1}" if mark else str(file),
            seen=getattr(error, "problem", None) or error,
        ) from error
    lines: dict[KeyPath, int] = {}
    if root is None:
        raise ConfigurationError("the file is empty", where=str(file), expected="hosts, switches and links")
    _note_lines(root, (), lines)
    return yaml.SafeLoader("").construct_document(root), Source(file=str(file), lines=lines)


def _note_lines(node: yaml.Node, path: KeyPath, lines: dict[KeyPath, int]) -> None:
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _note_lines(item, (*path, index), lines)
    elif isinstance(node, yaml.MappingNode):
        for key, item in node.value:
            _note_lines(item, (*path, key.value), lines)
            lines[*path, key.value] = key.start_mark.line + 1
