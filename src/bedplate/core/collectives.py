"""Words of collective communication: what a job's ranks exchange, and the flows that it becomes."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from bedplate.core.json import JsonObject
from bedplate.core.messages import encode


class CollectiveKind(enum.StrEnum):
    """Operations of the collective libraries."""

    ALL_REDUCE = "all-reduce"
    ALL_GATHER = "all-gather"
    REDUCE_SCATTER = "reduce-scatter"
    ALL_TO_ALL = "all-to-all"
    BROADCAST = "broadcast"


@dataclass(frozen=True, slots=True, kw_only=True)
class Collective:
    """One operation that a group of ranks carries out together."""

    kind: CollectiveKind
    group: tuple[int, ...]
    """Ranks in ring order."""
    message_bytes: int
    """Size of the complete buffer on one rank, as nccl-tests counts it."""
    per_step: float = 1.0
    """How often it runs in one optimiser step."""

    def as_json(self) -> JsonObject:
        """The form in which a training step hands its collectives to the network step."""
        return encode(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """Bytes from one host to another; what a path is planned for."""

    source: str
    target: str
    size_bytes: float
    label: str = ""
    """What distinguishes flows between the same hosts: QP number, source port."""
