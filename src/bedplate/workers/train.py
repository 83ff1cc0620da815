"""One rank of a training run: opens the stores, builds the trainer, tells the supervisor how far it is.

Order of work after a failure, each reported as a phase: imports, shapes and buffers, rendezvous, state from the newest
whole checkpoint, first forward pass. The base model's weights are not read when a checkpoint is there.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bedplate.core.json import Json, JsonObject
from bedplate.core.settings import read_settings
from bedplate.core.task import TaskContext, worker_errors
from bedplate.engines.process_group import joined
from bedplate.storage.checkpoint.disk import DiskCheckpointStore
from bedplate.storage.checkpoint.memory import MemoryCheckpointStore
from bedplate.toolchain.data.shards import TokenShards
from bedplate.toolchain.models.families import read_config
from bedplate.toolchain.models.folder import load_model, shape_only
from bedplate.toolchain.train.batches import ShardBatches, held_out
from bedplate.toolchain.train.exchange import Exchange
from bedplate.toolchain.train.export import export
from bedplate.toolchain.train.recovery import NamedStore, make_shard, resume
from bedplate.toolchain.train.settings import CheckpointPlace, TrainSettings
from bedplate.toolchain.train.trainer import Trainer, progress_attributes


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSpec:
    """What the supervisor tells each rank; the `spec` of its task."""

    settings: TrainSettings
    workers: int
    """Wanted workers, which fix the tokens of a step; the gang may be smaller."""
    run: str
    """Identity of the run: only checkpoints that carry it are resumed from."""
    result: str
    """Folder in which the trained model is to appear."""
    lineage: Mapping[str, Any]
    """What goes into `bedplate.json`."""


@worker_errors
def main(context: TaskContext) -> JsonObject:
    """Train to the end; the result has final loss and perplexities. The entry of each rank's task.

    Raises:
        PeerLostError: Another rank ended; the cause is there.
    """
    context.progress(phase="imported")
    rank = _Rank(context, read_settings(TrainSpec, context.spec))
    context.progress(phase="built")
    with joined(context, timeout_s=2 * rank.settings.hang_timeout):
        context.progress(phase="joined")
        return rank.train()


class _Rank:
    def __init__(self, context: TaskContext, spec: TrainSpec) -> None:
        self.context, self.spec, self.settings = context, spec, spec.settings
        self.exchange = Exchange(rank=context.rank, world_size=context.world_size)
        self.base = Path(self.settings.model)
        shards = TokenShards(Path(self.settings.data), "train", verify=False)
        self.trainer = Trainer(
            model=shape_only(read_config(self.base)),
            settings=self.settings,
            workers=spec.workers,
            exchange=self.exchange,
            data=ShardBatches(shards, self.settings, spec.workers),
            tell=self._tell,
        )
        self.stores = _open_stores(context)
        self.facts: dict[str, Json] = {"run": spec.run}
        self._is_first_forward = True

    def train(self) -> JsonObject:
        self._load()
        if "perplexity_before" not in self.facts:
            self.facts["perplexity_before"] = self._perplexity("before")
        loss = self._steps()
        self.facts["perplexity_after"] = self._perplexity("after")
        result: dict[str, Json] = {**self.facts, "final_loss": loss, "steps": self.trainer.steps_done}
        if self.context.rank == 0:
            self._export(result)
        return result

    def _load(self) -> None:
        found = resume(self.trainer, self.stores, self.spec.run)
        if found is None:
            self.trainer.start({name: tensor.detach() for name, tensor in load_model(self.base).named_parameters()})
            self.context.progress(phase="loaded", resumed_from=0, store="model")
            return
        self.facts |= {key: found[key] for key in ("perplexity_before", "loss") if key in found}
        self.context.progress(phase="loaded", resumed_from=found["resumed_from"], store=found["store"])

    def _steps(self) -> float:
        loss = self.facts.get("loss")
        while self.trainer.steps_done < self.trainer.num_steps:
            report = self.trainer.train_step()
            loss = self.facts["loss"] = report.loss
            self.context.progress(phase="step", **progress_attributes(report))
            self._keep(report.step)
        assert isinstance(loss, float)
        return loss

    def _keep(self, step: int) -> None:
        if step % self.settings.checkpoint.every and step < self.trainer.num_steps:
            return
        began_s = time.monotonic()
        self.stores[0].store.save(step, make_shard(self.trainer, self.facts))
        self.context.progress(phase="checkpoint", step=step, seconds=time.monotonic() - began_s, store=self.stores[0].name)

    def _perplexity(self, when: str) -> float | None:
        if not self.settings.evaluate.tokens:
            return None
        shards = TokenShards(Path(self.settings.data), "validation", verify=False)
        began_s = time.monotonic()
        batches = list(held_out(shards, self.settings, self.context.rank, self.context.world_size))
        total, tokens = self.trainer.negative_log_likelihood(batches)
        perplexity = math.exp(total / tokens)
        self.context.progress(
            phase="evaluated", when=when, perplexity=perplexity, tokens=tokens, seconds=time.monotonic() - began_s
        )
        return perplexity

    def _export(self, result: JsonObject) -> None:
        began_s = time.monotonic()
        itemsize = self.trainer.flat.weights.itemsize
        training: JsonObject = {
            **result,
            "world_size": self.context.world_size,
            "tokens_per_step": self.settings.tokens_per_step(self.spec.workers),
            "collectives": [item.as_json() for item in self.exchange.collectives(self.trainer.flat.layout, itemsize)],
        }
        export(self.trainer, self.base, Path(self.spec.result), self.spec.lineage, training)
        self.context.progress(phase="exported", seconds=time.monotonic() - began_s)

    def _tell(self, phase: str, **attributes: Json) -> None:
        """Every word is a heartbeat; the supervisor hears of what it needs to know."""
        self.context.heartbeat()
        if phase in ("exchange", "passed_over") or (phase == "forward" and self._is_first_forward):
            self._is_first_forward = self._is_first_forward and phase != "forward"
            self.context.progress(phase=phase, **attributes)


def _open_stores(context: TaskContext) -> list[NamedStore]:
    """Memory first where the supervisor gave memory files, then disk."""
    stores = []
    descriptors = [context.descriptors[name] for name in sorted(context.descriptors) if name.startswith("checkpoint-")]
    if descriptors:
        store = MemoryCheckpointStore(descriptors, context.rank, context.world_size)
        stores.append(NamedStore(name=CheckpointPlace.MEMORY, store=store))
    disk = DiskCheckpointStore(Path(context.stores["disk"]), context.rank, context.world_size)
    return [*stores, NamedStore(name=CheckpointPlace.DISK, store=disk)]
