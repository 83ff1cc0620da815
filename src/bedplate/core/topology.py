"""Words of networks: hosts, switches and directed links, by plane."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Plane(enum.StrEnum):
    """A network with one purpose."""

    PARAMETER = "parameter"
    STORAGE = "storage"
    BUSINESS = "business"
    OUT_OF_BAND = "out-of-band"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One direction of one cable."""

    id: int
    """Index in `Topology.links`."""
    name: str
    """`leaf0-spine1`: the direction it carries."""
    source: str
    target: str
    capacity_bytes_per_s: float
    up: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """A fabric: who is there, and what joins them."""

    name: str
    hosts: tuple[str, ...]
    switches: tuple[str, ...]
    links: tuple[Link, ...]
    plane: Plane = Plane.PARAMETER
