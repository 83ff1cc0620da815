"""One rank of a training run: opens the stores, builds the trainer, reports its progress to the supervisor.

Order of work after a failure, each reported: imports, shapes and buffers, rendezvous, state from the newest intact
checkpoint, first forward pass. The base model's weights are not read when a checkpoint is there.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Literal

from bedplate.core.errors import ResourcesError
from bedplate.core.json import JsonObject
from bedplate.core.messages import decode, encode
from bedplate.core.task import TaskContext, worker_errors
from bedplate.engines.process_group import joined
from bedplate.storage.checkpoint.disk import DiskCheckpointStore
from bedplate.storage.checkpoint.memory import MemoryCheckpointStore
from bedplate.toolchain.data.shards import TokenShards
from bedplate.toolchain.evaluate import perplexity_of
from bedplate.toolchain.models.families import read_config
from bedplate.toolchain.models.folder import load_model, shape_only
from bedplate.toolchain.train.batches import ShardBatches, held_out
from bedplate.toolchain.train.exchange import Exchange
from bedplate.toolchain.train.export import export
from bedplate.toolchain.train.messages import (
    Built,
    CheckpointMeta,
    CheckpointRejected,
    CheckpointSaved,
    Envelope,
    Evaluated,
    Exported,
    ForwardBegan,
    Imported,
    Joined,
    Loaded,
    Report,
    TrainingResult,
    TrainSpec,
    WaitBegan,
)
from bedplate.toolchain.train.recovery import NamedStore, make_shard, resume
from bedplate.toolchain.train.settings import CheckpointPlace, Precision
from bedplate.toolchain.train.trainer import Trainer
from bedplate.workers.device import backend_of, torch_device_of


@worker_errors
def main(context: TaskContext) -> JsonObject:
    """Train to the end; returns a `TrainingResult`. The entry of each rank's task.

    Raises:
        PeerLostError: Another rank ended; it has the cause.
        UnavailableError: The devices cannot be programmed here: no backend, plugin, torch or driver for them.
    """
    observer = Observer(context)
    observer.report(Imported())
    rank = _Rank(context, observer, decode(TrainSpec, context.spec))
    observer.report(Built(backend=rank.backend.name, precision=rank.trainer.precision))
    with joined(context, rank.backend, timeout_s=2 * rank.settings.hang_timeout):
        observer.report(Joined())
        return rank.train().as_json()


class Observer:
    """Passes what the trainer does on to the supervisor: each call is a heartbeat, some are reports."""

    def __init__(self, context: TaskContext) -> None:
        self._context = context
        self._is_first_forward = True

    def report(self, report: Report) -> None:
        """Send a report; it counts as a heartbeat."""
        self._context.progress(**encode(Envelope(report=report)))

    def forward_begins(self, step: int, micro_batch: int) -> None:
        """See `TrainerObserver`; only the first one of a process is reported."""
        self._context.heartbeat()
        if self._is_first_forward:
            self._is_first_forward = False
            self.report(ForwardBegan(step=step))

    def backward_begins(self, step: int, micro_batch: int) -> None:
        """See `TrainerObserver`."""
        self._context.heartbeat()

    def evaluation_begins(self) -> None:
        """See `TrainerObserver`."""
        self._context.heartbeat()

    def wait_begins(self, step: int) -> None:
        """See `TrainerObserver`."""
        self.report(WaitBegan(step=step))

    def checkpoint_rejected(self, step: int, store: str, reason: str) -> None:
        """See `TrainerObserver`."""
        self.report(CheckpointRejected(step=step, store=store, reason=reason))


class _Rank:
    def __init__(self, context: TaskContext, observer: Observer, spec: TrainSpec) -> None:
        self.context, self.observer, self.spec, self.settings = context, observer, spec, spec.settings
        self.exchange = Exchange(rank=context.rank, world_size=context.world_size)
        self.base = Path(self.settings.model)
        self.backend = backend_of(context)
        precision = self.backend.precision(self.settings.precision, tuple(Precision), context.runtime.precisions)
        shards = TokenShards(Path(self.settings.data), "train", verify=False)
        self.trainer = Trainer(
            model=shape_only(read_config(self.base)),
            settings=self.settings,
            workers=spec.workers,
            exchange=self.exchange,
            data=ShardBatches(shards, self.settings, spec.workers),
            observer=observer,
            device=torch_device_of(context),
            precision=Precision(precision),
        )
        self.stores = _open_stores(context)
        self.meta = CheckpointMeta(run=spec.run)

    def train(self) -> TrainingResult:
        self._load()
        if not self.meta.is_evaluated:
            self.meta = replace(self.meta, is_evaluated=True, perplexity_before=self._perplexity("before"))
        self._steps()
        assert self.meta.loss is not None
        result = TrainingResult(
            run=self.spec.run,
            steps=self.trainer.steps_done,
            steps_skipped=self.trainer.steps_skipped,
            final_loss=self.meta.loss,
            perplexity_before=self.meta.perplexity_before,
            perplexity_after=self._perplexity("after"),
            world_size=self.context.world_size,
            backend=self.backend.name,
            precision=self.trainer.precision,
            tokens_per_step=self.settings.tokens_per_step(self.spec.workers),
            collectives=self.exchange.collectives(self.trainer.flat.layout, self.trainer.flat.weights.itemsize),
        )
        if self.context.rank == 0:
            self._export(result)
        return result

    def _load(self) -> None:
        found = resume(self.trainer, self.stores, self.spec.run)
        if found is None:
            self.trainer.start({name: tensor.detach() for name, tensor in load_model(self.base).named_parameters()})
            self.observer.report(Loaded(resumed_from=0, store="model"))
            return
        self.meta = found.meta
        self.observer.report(Loaded(resumed_from=found.step, store=found.store))

    def _steps(self) -> None:
        while self.trainer.steps_done < self.trainer.num_steps:
            report = self.trainer.train_step()
            self.meta = replace(self.meta, loss=report.loss)
            self.observer.report(report)
            if report.step % self.settings.checkpoint.every == 0 or report.step == self.trainer.num_steps:
                self._keep(report.step)

    def _keep(self, step: int) -> None:
        began_s, named = time.monotonic(), self.stores[0]
        try:
            named.store.save(step, make_shard(self.trainer, self.meta))
        except OSError as error:
            raise ResourcesError(
                f"the checkpoint of step {step} could not be written",
                seen=error,
                next_step="free some space and run the same command again: it resumes from the checkpoint before",
            ) from error
        self.observer.report(CheckpointSaved(step=step, store=named.name, seconds=time.monotonic() - began_s))

    def _perplexity(self, when: Literal["before", "after"]) -> float | None:
        if not self.settings.evaluate.tokens:
            return None
        shards = TokenShards(Path(self.settings.data), "validation", verify=False)
        began_s = time.monotonic()
        batches = list(held_out(shards, self.settings, self.context.rank, self.context.world_size))
        total, tokens = self.trainer.negative_log_likelihood(batches)
        perplexity, seconds = perplexity_of(total, tokens), time.monotonic() - began_s
        self.observer.report(Evaluated(when=when, perplexity=perplexity, tokens=tokens, seconds=seconds))
        return perplexity

    def _export(self, result: TrainingResult) -> None:
        began_s = time.monotonic()
        export(self.trainer, self.base, Path(self.spec.result), self.spec.card, result.as_json())
        self.observer.report(Exported(seconds=time.monotonic() - began_s))


def _open_stores(context: TaskContext) -> list[NamedStore]:
    """Memory first if the supervisor passed memory files, then disk."""
    stores = []
    descriptors = [context.descriptors[name] for name in sorted(context.descriptors) if name.startswith("checkpoint-")]
    if descriptors:
        store = MemoryCheckpointStore(descriptors, context.rank, context.world_size)
        stores.append(NamedStore(name=CheckpointPlace.MEMORY, store=store))
    disk = DiskCheckpointStore(Path(context.stores["disk"]), context.rank, context.world_size)
    return [*stores, NamedStore(name=CheckpointPlace.DISK, store=disk)]
