"""The question put to the simulator; separate from the answer, so that reading it loads no numerics."""

from __future__ import annotations

from typing import Annotated, Literal

from bedplate.core.settings import Input, Range, settings
from bedplate.network.topology.specification import FabricSpecification


@settings
class Scenario:
    """A question as people write it."""

    topology: FabricSpecification
    """`leaf-spine:LxS` (L leaves, S spines, S hosts per leaf, links at 400 Gb/s), or a YAML or JSON file."""
    traffic: Annotated[str, Input(or_name="ring-shift, permutation:SEED", name_pattern=r"[\w-]+(:\S*)?")]
    """`ring-shift`, `permutation:SEED`, or a job file (JSON with `collectives`)."""
    balance: Literal["ecmp", "planned", "spray"]
    """`ecmp`, `planned` or `spray`."""
    seed: Annotated[int, Range(0)] = 0
    """Seed of the hash."""
    num_queue_pairs: Annotated[int, Range(1, 256)] | None = None
    """Most queue pairs per flow; by default 1 for ecmp, and for planned as few as reach the bound."""
    failed_links: tuple[str, ...] = ()
    """A cable that is down, like `leaf0-spine1`."""
