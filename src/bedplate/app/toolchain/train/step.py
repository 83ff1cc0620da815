"""`use: train`: continued pre-training that survives its workers, and says what surviving cost.

The supervisor (this process) owns the memory files, starts the gang, watches it, and starts it again after a failure;
see `app/toolchain/train/`. Returns a Hugging Face folder with `bedplate.json` (its card) and `training.json`.
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

from bedplate.app.pipeline.contract.accelerators import device_choices
from bedplate.app.pipeline.contract.step import PlanContext, ResultKind, StepContext, StepResult
from bedplate.app.toolchain.data.tokens import tokens_for
from bedplate.app.toolchain.train.checks import check_data, check_drill, check_sequence, read_trainable
from bedplate.app.toolchain.train.journal import TrainingJournal
from bedplate.app.toolchain.train.report import add_facts, figures, measurements, recoveries, step_seconds, warnings
from bedplate.app.toolchain.train.supervise import Job, Supervisor
from bedplate.core.events.kinds import CheckpointCopyFailed, make_event
from bedplate.core.json import JsonObject, digest
from bedplate.core.messages import encode
from bedplate.core.settings import about_setting, identifying, looks_like_path
from bedplate.core.text import text
from bedplate.core.units import format_bytes, format_count
from bedplate.engines.base import CanInheritDescriptors
from bedplate.storage.checkpoint.copier import DiskCopier
from bedplate.storage.checkpoint.memory import MemoryCheckpointStore, create_memory_files
from bedplate.toolchain.data.corpus import is_corpus
from bedplate.toolchain.data.shards import read_manifest
from bedplate.toolchain.models.card import ModelCard, ModelKind, Origin, read_card, weights_digest
from bedplate.toolchain.models.config import ModelConfig
from bedplate.toolchain.train.footprint import check_memory, checkpoint_disk_bytes, memory_needed_bytes
from bedplate.toolchain.train.messages import TrainingResult, TrainSpec
from bedplate.toolchain.train.result_folder import TRAINING_FILE, check_result_folder
from bedplate.toolchain.train.settings import CheckpointPlace, TrainSettings
from bedplate.toolchain.train.slices import share_bytes

Settings = TrainSettings
EXPLANATION = text("Continue training the model on your text, survive the loss of a worker, and show what that cost.")


def plan(settings: TrainSettings, context: PlanContext) -> Sequence[str]:
    """What would be trained, on what, and how it is kept.

    Raises:
        NotFoundError, UsageError: A folder that is no model, or settings that do not fit it or each other.
    """
    workers = context.needs.workers
    check_drill(settings, workers.want)
    per_step = settings.tokens_per_step(workers.want)
    lines = [
        f"train {settings.num_steps(workers.want)} steps of {per_step} tokens in {settings.precision} "
        f"with {workers.want} workers (at least {workers.min}), {context.needs.cpus_per_worker} cores each",
        f"checkpoint every {settings.checkpoint.every} steps in {settings.checkpoint.in_}: "
        "at most this many steps are repeated after a failure",
    ]
    if looks_like_path(settings.model):
        with about_setting("model"):
            model = read_trainable(Path(settings.model))
        check_sequence(settings, model)
        needed = memory_needed_bytes(settings, model, workers.want)
        lines.append(f"about {format_bytes(needed)} of memory for workers and checkpoints")
    if settings.drill:
        lines.append(f"drill: worker {settings.drill.kill} is killed after step {settings.drill.at_step}")
    kinds = device_choices(context.needs.words, context.engine.resources())  # last: only an open engine knows
    lines.append(f"on {' or else '.join(map(str, kinds))}")
    return lines


def run(settings: TrainSettings, context: StepContext) -> StepResult:
    """Train, through failures, to the end.

    Raises:
        UsageError: Data, sequence or model do not fit each other.
        ResourcesError: Not enough memory, disk, or free cores.
        UnavailableError: The result cannot be written, or a file of the model cannot be read.
        TaskError: More failures than `restarts` allows.
        BedplateError: Loss or gradient is not finite (see `on_non_finite`).
    """
    given, model = Path(settings.data), read_trainable(Path(settings.model))
    settings = _checked(settings, model, context)
    spec = _spec(settings, given, context)
    journal = TrainingJournal(context.directory / "journal.jsonl", spec.run)
    num_steps = settings.num_steps(context.needs.workers.want)
    context.reporter.say(f"training {format_count(model.num_parameters)} parameters for {num_steps} steps")
    result = _finished_before(spec) or _supervised(settings, context, model, spec, journal)
    measured = measurements(journal, result, settings, context, model.num_parameters)
    for recovery in recoveries(journal):
        context.reporter.say(str(recovery))
    shown = {item.id: item.value for item in measured if item.id in ("tokens_per_s", "goodput_frac")}
    warned = warnings(journal, result, model)
    for warning in warned:
        context.reporter.say(f"warning: {warning}")
    facts: JsonObject = {
        **shown,
        "step_s": step_seconds(journal),
        "warnings": list(warned),
        "failures": [encode(item) for item in recoveries(journal)],
    }
    path = Path(spec.result)
    add_facts(path, facts)
    shutil.rmtree(_disk(context), ignore_errors=True)  # the model is complete: nothing is left to resume
    outputs = {**result.as_json(), **facts}
    return StepResult(path=path, kind=ResultKind.MODEL, outputs=outputs, measurements=measured, figures=figures(journal))


def _checked(settings: TrainSettings, model: ModelConfig, context: StepContext) -> TrainSettings:
    """The settings with data and windows made to fit the model; all that can fail later and be seen now was looked at."""
    workers = context.needs.workers
    check_memory(settings, model, workers.want, psutil.virtual_memory().available)
    checkpoint_bytes = checkpoint_disk_bytes(model, workers.want)
    check_result_folder(Path(settings.model), _result(context), model.num_parameters, checkpoint_bytes)
    evaluate = replace(settings.evaluate, context=min(settings.evaluate.context, model.max_positions))
    tokens = tokens_for(Path(settings.data), Path(settings.model), context)
    settings = replace(settings, data=str(tokens), evaluate=evaluate)
    check_data(settings, model)
    return settings


def _supervised(
    settings: TrainSettings, context: StepContext, model: ModelConfig, spec: TrainSpec, journal: TrainingJournal
) -> TrainingResult:
    with _memory_files(settings, context, model) as descriptors, _copier(context, descriptors) as copier:
        stores = {"disk": str(_disk(context))}
        job = Job(settings=settings, spec=encode(spec), stores=stores, descriptors=descriptors)
        return Supervisor(context, job, journal, copier).run()


def _finished_before(spec: TrainSpec) -> TrainingResult | None:
    """What the workers found, where this run's model is there already: only the step's own end was cut off."""
    file = Path(spec.result) / TRAINING_FILE
    facts: JsonObject = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return TrainingResult.from_training_file(facts) if facts.get("run") == spec.run else None


def _disk(context: StepContext) -> Path:
    return context.directory / "checkpoints"


def _result(context: StepContext) -> Path:
    return context.directory / "model"


def _spec(settings: TrainSettings, given: Path, context: StepContext) -> TrainSpec:
    base, data, workers = Path(settings.model), Path(settings.data), context.needs.workers.want
    weights, shards = weights_digest(base), read_manifest(data)["shards"]
    identity = {"settings": _identifying(settings), "weights": weights, "data": shards, "workers": workers}
    base_card = read_card(base)
    card = ModelCard(
        kind=ModelKind.TRAINED,
        licence=base_card.licence if base_card else None,
        base=Origin(path=str(base), digest=weights),
        data=Origin(path=str(data), digest=digest(shards)),
        corpus=str(given.absolute()) if is_corpus(given) else None,
        details={
            "steps": settings.num_steps(workers),
            "tokens": settings.num_steps(workers) * settings.tokens_per_step(workers),
            "precision": str(settings.precision),
        },
    )
    return TrainSpec(settings=settings, workers=workers, run=digest(identity), result=str(_result(context)), card=card)


def _identifying(settings: TrainSettings) -> JsonObject:
    """Settings that decide the result; model and data are known by their digests, and a drill changes no bit."""
    written = identifying(TrainSettings, encode(settings))
    return {key: value for key, value in written.items() if key not in ("model", "data", "drill")}


@contextlib.contextmanager
def _memory_files(settings: TrainSettings, context: StepContext, model: ModelConfig) -> Iterator[Mapping[str, int]]:
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
def _copier(context: StepContext, descriptors: Mapping[str, int]) -> Iterator[DiskCopier | None]:
    """Copies memory checkpoints to disk while training runs, and the newest one if it ends early for any reason."""
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
    except BaseException:
        copier.wake()
        if (step := copier.close()) is not None:
            context.reporter.say(f"the checkpoint of step {step} is on disk; the same command resumes from it")
        raise
    copier.close()
