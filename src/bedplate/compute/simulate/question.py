"""The question put to the packing simulator; separate from the answer, so that reading it loads no numerics."""

from __future__ import annotations

import enum
from typing import Annotated

from bedplate.compute.scheduler.placement import DEFAULT_POLICY, check_policy
from bedplate.core.errors import UsageError
from bedplate.core.settings import InputFile, Range, settings

MAX_SEEDS = 10_000


class Protocol(enum.Enum):
    """How requests arrive."""

    INFLATE = "inflate"
    """Shuffled, brought to `tune` times the capacity; they never leave."""


@settings
class PackingQuestion:
    """A question as people write it."""

    nodes: InputFile
    """CSV with `sn,cpu_milli,memory_mib,gpu,model`."""
    pods: InputFile
    """CSV with `name,cpu_milli,memory_mib,num_gpu,gpu_milli` and, optionally, `gpu_spec`."""
    policy: str = DEFAULT_POLICY
    """`random`, `best-fit`, `gpu-packing`, `fgd`, `rollout`, or the dotted path of a module with `make_policy`."""
    protocol: Protocol = Protocol.INFLATE
    """How pods arrive."""
    tune: Annotated[float, Range(1, 100)] = 1.3
    """Demand that arrives, as a multiple of the devices' capacity."""
    seeds: str = "42:52"
    """Orders of arrival: `FIRST:END`, END excluded, or one seed."""
    history: InputFile | None = None
    """CSV of pods that policies learn the mix from; by default the pods themselves."""

    def __post_init__(self) -> None:
        check_policy(self.policy)
        self.seed_range()

    def seed_range(self) -> range:
        """The seeds; raises UsageError if there are none, or it cannot be read."""
        first, colon, end = self.seeds.partition(":")
        if first.isdecimal() and (end.isdecimal() or not colon):
            seeds = range(int(first), int(end) if colon else int(first) + 1)
            if 0 < len(seeds) <= MAX_SEEDS:
                return seeds
        raise UsageError(
            "the seeds cannot be read",
            seen=self.seeds,
            expected=f"FIRST:END, END excluded, such as 42:52; at most {MAX_SEEDS}",
        )
