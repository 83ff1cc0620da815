"""`use: train`: continued pre-training that survives its workers, and says what surviving cost.

The supervisor (this process) owns the memory files, starts the gang, watches it, and starts it again after a failure;
see `app/toolchain/train/`. Gives back a Hugging Face folder with `bedplate.json` (lineage) and `training.json`.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import psutil

from bedplate.app.pipeline.contract.step import PlanContext, StepContext, StepResult
from bedplate.app.toolchain.data.tokens import tokens_for
from bedplate.app.toolchain.train.checks import ModelFacts, check_data, check_memory, memory_needed_bytes, read_model_facts
from bedplate.app.toolchain.train.report import add_facts, figures, measurements, recoveries, step_seconds
from bedplate.app.toolchain.train.story import Story
from bedplate.app.toolchain.train.supervise import Job, Supervisor
from bedplate.core.event_kinds import CheckpointCopyFailed, make_event
from bedplate.core.json import JsonObject, digest
from bedplate.core.text import text
from bedplate.core.units import format_bytes, format_count
from bedplate.engines.base import CanInheritDescriptors
from bedplate.storage.checkpoint.copier import DiskCopier
from bedplate.storage.checkpoint.memory import MemoryCheckpointStore, create_memory_files
from bedplate.toolchain.data.corpus import is_corpus
from bedplate.toolchain.data.shards import file_digest, read_manifest
from bedplate.toolchain.models.weights import weight_files
from bedplate.toolchain.train.settings import CheckpointPlace, TrainSettings, settings_as_json
from bedplate.toolchain.train.slices import share_bytes

Settings = TrainSettings
EXPLANATION = text("Go on training the model on your text, through the death of a worker, and show what surviving it cost.")


def plan(settings: TrainSettings, context: PlanContext) -> Sequence[str]:
    """What would be trained, on what, and how it is kept."""
    workers = context.needs.workers
    per_step = settings.tokens_per_step(workers.want)
    lines = [
        f"train {settings.num_steps(workers.want)} steps of {per_step} tokens in {settings.precision} "
        f"with {workers.want} workers (at least {workers.min}), {context.needs.cpus_per_worker} cores each",
        f"checkpoint every {settings.checkpoint.every} steps in {settings.checkpoint.in_}: "
        "so many steps are repeated at most after a failure",
    ]
    if (Path(settings.model) / "config.json").is_file():
        needed = memory_needed_bytes(settings, read_model_facts(Path(settings.model)), workers.want)
        lines.append(f"about {format_bytes(needed)} of memory for workers and checkpoints")
    if settings.drill:
        lines.append(f"drill: worker {settings.drill.kill} is killed after step {settings.drill.at_step}")
    return lines


def run(settings: TrainSettings, context: StepContext) -> StepResult:
    """Train, through failures, to the end.

    Raises:
        UsageError: Data, sequence or model do not fit each other.
        ResourcesError: Not enough memory, or too few free slots.
        TaskError: More failures than `restarts` allows.
    """
    model = read_model_facts(Path(settings.model))
    given = Path(settings.data)
    evaluate = replace(settings.evaluate, context=min(settings.evaluate.context, model.max_positions))
    settings = replace(settings, data=str(tokens_for(given, Path(settings.model), context)), evaluate=evaluate)
    check_data(settings, model)
    check_memory(settings, model, context.needs.workers.want, psutil.virtual_memory().available)
    context.directory.mkdir(parents=True, exist_ok=True)
    story = Story(context.directory / "story.jsonl")
    spec = _spec(settings, given, context)
    context.reporter.say(
        f"training {format_count(model.num_parameters)} parameters for {settings.num_steps(context.needs.workers.want)} steps"
    )
    result = _finished_before(spec) or _supervised(settings, context, model, spec, story)
    measured = measurements(story, result, settings, context, model.num_parameters)
    for recovery in recoveries(story):
        context.reporter.say(str(recovery))
    failures = [item.as_json() for item in recoveries(story)]
    facts = {item.id: item.value for item in measured if item.id in ("tokens_per_s", "goodput_frac")}
    path = Path(str(spec["result"]))
    add_facts(path, {**facts, "step_s": step_seconds(story), "failures": failures})
    shutil.rmtree(_disk(context), ignore_errors=True)  # the model is whole: nothing is left to resume
    return StepResult(
        path=path, outputs={**result, **facts, "failures": failures}, measurements=measured, figures=figures(story)
    )


def _supervised(settings: TrainSettings, context: StepContext, model: ModelFacts, spec: JsonObject, story: Story) -> JsonObject:
    with _memory_files(settings, context, model) as descriptors, _copier(settings, context, descriptors) as copier:
        job = Job(settings=settings, spec=spec, stores={"disk": str(_disk(context))}, descriptors=descriptors)
        return Supervisor(context, job, story, copier).run()


def _finished_before(spec: JsonObject) -> JsonObject | None:
    """What the workers found, where this run's model is there already: only the step's own end was cut off."""
    file = Path(str(spec["result"])) / "training.json"
    facts: JsonObject = json.loads(file.read_text()) if file.is_file() else {}
    return facts if facts.get("run") == spec["run"] else None


def _disk(context: StepContext) -> Path:
    return context.directory / "checkpoints"


def _spec(settings: TrainSettings, given: Path, context: StepContext) -> JsonObject:
    base, data = Path(settings.model), Path(settings.data)
    weights = {file.name: file_digest(file) for file in weight_files(base)}
    manifest = read_manifest(data)
    written = settings_as_json(settings)
    ignored = {"model", "data", "drill", "restarts", "hang_timeout", "checkpoint"}
    identity = {
        "settings": {key: written[key] for key in written if key not in ignored},
        "weights": weights,
        "data": manifest["shards"],
        "workers": context.needs.workers.want,
    }
    lineage: JsonObject = {
        "kind": "weights",
        "made_by": "train",
        "base": {"path": str(base), "weights": weights},
        "data": {"path": str(data), "digest": digest(manifest["shards"])},
        "corpus": str(given.absolute()) if is_corpus(given) else None,
        "steps": settings.num_steps(context.needs.workers.want),
        "tokens": settings.num_steps(context.needs.workers.want) * settings.tokens_per_step(context.needs.workers.want),
        "precision": str(settings.precision),
    }
    return {
        "settings": written,
        "workers": context.needs.workers.want,
        "run": digest(identity),
        "result": str(context.directory / "model"),
        "lineage": lineage,
    }


@contextlib.contextmanager
def _memory_files(settings: TrainSettings, context: StepContext, model: ModelFacts) -> Iterator[Mapping[str, int]]:
    """Memory files for all ranks by name, closed at the end; none where checkpoints go to disk."""
    if settings.checkpoint.in_ is not CheckpointPlace.MEMORY:
        yield {}
        return
    if not isinstance(context.engine, CanInheritDescriptors):
        context.reporter.say(
            f"checkpoints go to disk: memory files cannot be handed to tasks of the engine '{context.engine.name}'"
        )
        yield {}
        return
    workers = context.needs.workers
    descriptors = create_memory_files(workers.want, share_bytes(model.num_parameters, workers.min))
    try:
        yield {f"checkpoint-{rank:04d}": descriptor for rank, descriptor in enumerate(descriptors)}
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


@contextlib.contextmanager
def _copier(settings: TrainSettings, context: StepContext, descriptors: Mapping[str, int]) -> Iterator[DiskCopier | None]:
    if not descriptors:
        yield None
        return

    def failed(step: int, reason: str) -> None:
        now_s, message = context.clock.now(), f"step {step} was not copied to disk: {reason}"
        context.events.emit(
            make_event(CheckpointCopyFailed(step=step, reason=reason), at_s=now_s, message=message, source="train")
        )

    memory = MemoryCheckpointStore(tuple(descriptors.values()), 0, context.needs.workers.want)
    copier = DiskCopier(memory, _disk(context), failed)
    try:
        yield copier
    finally:
        copier.close()
