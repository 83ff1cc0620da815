"""From a trainer to a checkpoint, and back from the newest one that is intact.

All ranks try the same step of the same store; if a single one finds its bytes damaged, all skip it, with the reason,
and try the one before. Slices are read by position, so a checkpoint of two ranks also starts one or three.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bedplate.core.checkpoint import CheckpointStore, Shard
from bedplate.core.errors import IntegrityError, MessageError, NotFoundError
from bedplate.core.messages import decode, encode
from bedplate.toolchain.train.messages import CheckpointMeta
from bedplate.toolchain.train.slices import STATE_BUFFERS
from bedplate.toolchain.train.trainer import Trainer


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedStore:
    """A store with the name that events give it."""

    name: str
    store: CheckpointStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """Where a run resumed."""

    meta: CheckpointMeta
    step: int
    store: str


def make_shard(trainer: Trainer, meta: CheckpointMeta) -> Shard:
    """This rank's share of the state; the buffers are the trainer's own, so save it before the next step.

    Args:
        trainer: Between two steps.
        meta: What identifies the run, and facts to carry over; the trainer's own are filled in.
    """
    buffers = {name: memoryview(buffer.cpu().numpy()).cast("B") for name, buffer in trainer.optimiser.buffers.items()}  # type: ignore[arg-type]
    num_elements, skipped = trainer.flat.layout.num_elements, trainer.steps_skipped
    return Shard(meta=encode(replace(meta, num_elements=num_elements, steps_skipped=skipped)), buffers=buffers)


def resume(trainer: Trainer, stores: Sequence[NamedStore], run: str) -> Resumed | None:
    """Load the newest intact checkpoint of this run into the trainer.

    Args:
        trainer: Not yet started.
        stores: Tried newest step first, and for one step in this order.
        run: Identity that the checkpoint must carry in its meta: another model or other settings never match.

    Returns:
        What was saved, and where; None where there is nothing to resume from.
    """
    for step, named in _candidates(stores):
        reason, meta = _try_load(trainer, named.store, step, run)
        trainer.observer.wait_begins(step)
        if trainer.exchange.all_agree(meta is not None):
            assert meta is not None
            trainer.steps_done, trainer.steps_skipped = step, meta.steps_skipped
            trainer.optimiser.steps_done = step - meta.steps_skipped
            return Resumed(meta=meta, step=step, store=named.name)
        trainer.observer.checkpoint_rejected(step, named.name, reason or "damaged for another rank")
        named.store.discard(step)
    return None


def _candidates(stores: Sequence[NamedStore]) -> list[tuple[int, NamedStore]]:
    found = [(step, -order, named) for order, named in enumerate(stores) for step in named.store.steps()]
    return [(step, named) for step, _, named in sorted(found, key=lambda item: item[:2], reverse=True)]


def _try_load(trainer: Trainer, store: CheckpointStore, step: int, run: str) -> tuple[str, CheckpointMeta | None]:
    """Why the step cannot be used, or its meta."""
    try:
        world_size = store.world_size(step)
        shards = [store.load(step, rank) for rank in range(world_size)]
        meta = decode(CheckpointMeta, shards[0].meta)
    except (IntegrityError, NotFoundError, MessageError) as error:
        return str(error), None
    layout = trainer.flat.layout
    if meta.run != run or meta.num_elements != layout.num_elements:
        return f"it belongs to another run: {meta.run}, this is {run}", None
    for rank, shard in enumerate(shards):
        _read(trainer, shard, layout.bounds(rank, world_size))
    return "", meta


def _read(trainer: Trainer, shard: Shard, bounds: tuple[int, int]) -> None:
    optimiser, start = trainer.optimiser, bounds[0]
    if bounds[1] <= start:
        return
    tensors = {name: _as_tensor(shard, name) for name in STATE_BUFFERS}
    trainer.flat.weights[slice(*bounds)].copy_(tensors["master"])
    low, high = max(start, optimiser.start), min(bounds[1], optimiser.end)
    if low < high:
        for name, tensor in tensors.items():
            optimiser.buffers[name][low - optimiser.start : high - optimiser.start] = tensor[low - start : high - start]


def _as_tensor(shard: Shard, name: str) -> Tensor:
    return torch.frombuffer(shard.buffers[name], dtype=torch.float32)
