"""Checkpoints: what a trainer hands to a store, without knowing the store.

Each rank saves its own shard of a step. A step can be loaded once all ranks of its world have committed theirs; until
then, and when a shard is damaged, the store answers with the step before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from bedplate.core.blocks import Buffer
from bedplate.core.json import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """What one rank contributes to a checkpoint."""

    meta: JsonObject
    """Step, world size, RNG state, data position, scalars: everything that is not a buffer."""
    buffers: Mapping[str, Buffer] = field(default_factory=dict)
    """Raw bytes by name; names, order and sizes are the same at every step."""


class CheckpointStore(Protocol):
    """A store of checkpoints, opened by one rank. Verified: a damaged shard is never handed out."""

    def save(self, step: int, shard: Shard) -> None:
        """Write this rank's shard of `step`; returns when it is committed."""
        ...

    def steps(self) -> tuple[int, ...]:
        """Steps that are committed by all ranks, newest first; loading one checks that its bytes are intact."""
        ...

    def world_size(self, step: int) -> int:
        """How many ranks wrote a committed step.

        Raises:
            NotFoundError: The step is not there.
        """
        ...

    def load(self, step: int, rank: int) -> Shard:
        """The shard of `rank` at `step`; its buffers are valid until the next `save`.

        Raises:
            NotFoundError: The step is not there.
            IntegrityError: The shard is damaged.
        """
        ...

    def discard(self, step: int) -> None:
        """Forget this rank's shard of a step that proved damaged, so that it no longer counts as committed."""
        ...

    def close(self) -> None:
        """Release; what is committed stays."""
        ...
