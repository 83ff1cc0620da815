"""What people write for a fabric on a command line or in a pipeline: `leaf-spine:8x8`, or a file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from bedplate.core.errors import UsageError, did_you_mean
from bedplate.core.settings import Input
from bedplate.core.topology import Topology
from bedplate.network.topology.leaf_spine import leaf_spine

GENERATORS = ("leaf-spine",)
_SUPPORTED = "leaf-spine:LxS (leaf-spine:8x8), or a YAML or JSON file"
FabricSpecification = Annotated[str, Input(or_name="leaf-spine:LxS", name_pattern=r"[\w-]+:\S*")]
"""Settings type: a fabric as people write it."""
_MAX_SIDE = 256


def open_topology(specification: str) -> Topology:
    """The fabric that `specification` names.

    Args:
        specification: `leaf-spine:LxS`: L leaves, S spines, S hosts per leaf, every link 400 Gb/s; or a path.

    Raises:
        UsageError: An unknown generator or a size that is not LxS.
        NotFoundError, ConfigurationError: As `read_topology`.
    """
    sides = generated_sides(specification)
    if sides is not None:
        return leaf_spine(*sides)
    from bedplate.network.topology.file import read_topology

    return read_topology(Path(specification))


def generated_sides(specification: str) -> tuple[int, int] | None:
    """Leaves and spines of a fabric that is generated; None where `specification` is a path. Makes nothing.

    Raises:
        UsageError: As `open_topology`.
    """
    name, colon, size = specification.partition(":")
    if name == "leaf-spine":
        return _sides(specification, size)
    if name == "clos3":
        raise UsageError("three-tier Clos fabrics are not supported yet", seen=specification, expected=_SUPPORTED)
    if colon and not Path(specification).exists():
        raise UsageError(
            f"unknown fabric '{name}'",
            seen=specification,
            expected=_SUPPORTED,
            next_step=did_you_mean(name, GENERATORS, form=f"{{}}:{size}"),
        )
    return None


def _sides(specification: str, size: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)x(\d+)", size)
    sides = (int(match[1]), int(match[2])) if match else (0, 0)
    if not all(1 <= side <= _MAX_SIDE for side in sides):
        raise UsageError(
            "a leaf-spine fabric is written as leaves x spines",
            seen=specification,
            expected=f"leaf-spine:8x8, each side 1 to {_MAX_SIDE}",
        )
    return sides
