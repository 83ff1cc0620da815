"""`bench.serve`: a server under load, with the KV memory off and on, over real HTTP, and a peer under the same load.

Each setting is one task: a fresh server process, a fresh KV store, and the client in a process of its own, on the same
cores. All settings get the same prompts, token for token; a turn's prompt contains the server's earlier answers, so the
loads stay the same only while the greedy answers do, and whether they did is one of the measurements.

A peer is another OpenAI-compatible server of the same model that runs already: only its URL is known here. Where it runs and
on what, the reader of the comparison has to know.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Container, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from bedplate.app.pipeline.contract.gangs import run_gang
from bedplate.app.pipeline.contract.measured import measured_in
from bedplate.app.pipeline.contract.step import PlanContext, StepContext, StepResult
from bedplate.app.toolchain.serve.common import ENVIRONMENT, ModelInput, all_cores, check_model, find_model, kv_url
from bedplate.app.toolchain.serve.load_results import LoadRun, figures_of, table_of, values_of
from bedplate.core.blocks import KV_STORE
from bedplate.core.errors import UsageError
from bedplate.core.files import write_file
from bedplate.core.json import JsonObject
from bedplate.core.measurement import Measurement
from bedplate.core.messages import decode
from bedplate.core.settings import Input, Range, settings
from bedplate.core.text import text
from bedplate.core.units import ByteCount, Count
from bedplate.core.workload import Gang, Resources, Task, TaskEvent, TaskStatus
from bedplate.toolchain.load.conversations import KINDS
from bedplate.toolchain.load.messages import LoadProgress, LoadResult

EXPLANATION = text(
    "Serve the model through an OpenAI-compatible API and run a multi-turn chat against it, without and with KV memory."
)
RESULT_FILE = "serve.json"
API_KEY_VARIABLE = "OPENAI_API_KEY"


@settings
class Settings:
    """Keys of a `bench.serve` step."""

    model: ModelInput
    """A model folder (`$compress`), or the name of a fetched model."""
    load: Annotated[str, Input(words=KINDS)] = "plain"
    """`plain` (independent prompts), `chat` (sessions with a common system prompt), `documents`, or a file of JSON lines."""
    kv: tuple[Literal["off", "on"], ...] = ("off",)
    """KV memory settings to measure, in this order; with both, they are compared."""
    streams: Annotated[Count, Range(1)] = 6
    """Concurrent requests; in `chat` also the number of sessions."""
    turns: Annotated[Count, Range(1)] = 5
    """Turns per session; questions per document; prompts per stream in `plain`."""
    shared_tokens: Annotated[Count, Range(0)] | None = None
    """Common system prompt of `chat` (by default 1000); length of a document (3000)."""
    prompt_tokens: Annotated[Count, Range(1)] | None = None
    """New tokens per turn of `chat` (default 250) or per question (50), or the complete prompt in `plain` (64)."""
    output_tokens: Annotated[Count, Range(1)] = 16
    """Tokens per answer; end-of-text is ignored."""
    documents: Annotated[Count, Range(1)] = 20
    """Number of documents."""
    memory: Annotated[ByteCount, Range(1)] = 1_000_000_000
    """KV memory tier."""
    disk: Annotated[ByteCount, Range(1)] = 4_000_000_000
    """KV disk tier."""
    max_batch: Annotated[Count, Range(1, 256)] = 8
    """Maximum number of sequences that the server runs concurrently."""
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    """Number format of weights and KV."""
    seed: int = 0
    """Seed of the prompts: the same seed gives the same prompts."""
    vs: str | None = None
    """URL of a running OpenAI-compatible server of the same model, to be measured under the same load; its key is taken from
    `OPENAI_API_KEY`."""

    def __post_init__(self) -> None:
        if len(set(self.kv)) != len(self.kv) or not self.kv:
            raise UsageError(
                "'kv' must name distinct settings",
                seen=list(self.kv),
                expected="[off], [on] or [off, on]",
            )
        if self.vs is not None:
            address = urlsplit(self.vs)
            if address.scheme not in ("http", "https") or not address.hostname:
                raise UsageError(
                    "invalid URL of a peer",
                    seen=self.vs,
                    expected="http://host:port of a running OpenAI-compatible server",
                    next_step="start the peer's own server with the same model, and give its URL",
                )


def plan(settings: Settings, context: PlanContext) -> Sequence[str]:
    """Which loads would be run against which servers.

    Raises:
        NotFoundError: There is no such model.
        UsageError: The file of a load makes no sense.
    """
    settings = _complete(settings)
    check_model(settings.model)
    return (
        f"serve {settings.model} from a fresh process with KV memory {' and then '.join(settings.kv)}",
        f"run the load '{settings.load}' against it: {_scale(settings)}",
        *([f"run the same load against {settings.vs}"] if settings.vs else []),
        "compare throughput, time to first token, and all greedy answers",
    )


def run(settings: Settings, context: StepContext) -> StepResult:
    """Measure each setting, and the peer if there is one.

    Raises:
        NotFoundError: No such model or load.
        UnavailableError: A server could not be started, or no peer answers.
        TaskError: A request failed.
    """
    settings = _complete(settings)
    model = find_model(settings.model)
    num_runs = len(settings.kv) + (settings.vs is not None)
    measured = [_measure(settings, model, kv, context, before, num_runs) for before, kv in enumerate(settings.kv)]
    runs, tasks = tuple(run for run, _ in measured), tuple(task for _, task in measured)
    measurements = _measurements(settings, runs, tasks, context)
    if settings.vs is not None:
        peer, _ = _measure(settings, model, None, context, len(runs), num_runs)
        runs = (*runs, peer)
        measurements += _peer_measurements(settings, runs, {item.id for item in measurements}, context)
    document: JsonObject = {"results": [run.as_json() for run in runs], "scale": _scale(settings), "model": str(model)}
    file = context.directory / RESULT_FILE
    write_file(file, json.dumps(document, indent=2))
    return StepResult(
        path=file,
        outputs=document,
        measurements=measurements,
        figures=figures_of(runs, _scale(settings)),
        tables=(table_of(runs),),
    )


def _complete(settings: Settings) -> Settings:
    """With the lengths that a load has where nothing else is asked for."""
    shared, prompt = {"chat": (1000, 250), "documents": (3000, 50)}.get(settings.load, (1000, 64))
    return replace(
        settings,
        shared_tokens=shared if settings.shared_tokens is None else settings.shared_tokens,
        prompt_tokens=prompt if settings.prompt_tokens is None else settings.prompt_tokens,
    )


def _measure(
    settings: Settings, model: Path, kv: str | None, context: StepContext, num_before: int, num_runs: int
) -> tuple[LoadRun, TaskStatus]:
    """Measure one setting; a peer where `kv` is None. Also returns the task as it ended."""
    directory = context.directory / "kv"
    shutil.rmtree(directory, ignore_errors=True)
    task = _peer_task(settings, model) if kv is None else _task(settings, model, kv, directory, all_cores(context.engine))
    what = f"measuring {settings.vs}" if kv is None else f"serving {model.name} with KV memory {kv}"
    context.reporter.say(f"{what}: {_scale(settings)}")

    def show_progress(event: TaskEvent) -> None:
        progress = decode(LoadProgress, event.attributes)
        done, total = num_before * progress.total + progress.done, num_runs * progress.total
        context.reporter.progress(done, total, progress.unit)

    try:
        gang = Gang(name="serve-peer" if kv is None else f"serve-{kv}", tasks=(task,))
        status = run_gang(context.engine, gang, context.reporter, show_progress)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    result = decode(LoadResult, status.tasks[0].result)
    return LoadRun(kv=kv, load=settings.load, streams=settings.streams, result=result), status.tasks[0]


def _task(settings: Settings, model: Path, kv: str, directory: Path, resources: Resources) -> Task:
    return Task(
        entry="bedplate.workers.serve_load:main",
        spec=_spec(settings, model),
        stores={KV_STORE: kv_url(directory, settings.memory, settings.disk)} if kv == "on" else {},
        resources=resources,
        environment=ENVIRONMENT,
    )


def _peer_task(settings: Settings, model: Path) -> Task:
    key = os.environ.get(API_KEY_VARIABLE)
    return Task(
        entry="bedplate.workers.peer_load:main",
        spec={"url": settings.vs, "model": str(model), "load": _load(settings)},
        environment={API_KEY_VARIABLE: key} if key else {},
    )


def _spec(settings: Settings, model: Path) -> JsonObject:
    return {
        "serve": {
            "model": str(model),
            "name": model.name,
            "dtype": settings.dtype,
            "engine": {"max_batch": settings.max_batch},
        },
        "load": _load(settings),
    }


def _load(settings: Settings) -> JsonObject:
    return {
        "kind": settings.load,
        "streams": settings.streams,
        "turns": settings.turns,
        "shared_tokens": settings.shared_tokens,
        "prompt_tokens": settings.prompt_tokens,
        "output_tokens": settings.output_tokens,
        "documents": settings.documents,
        "seed": settings.seed,
    }


def _measurements(
    settings: Settings, runs: Sequence[LoadRun], tasks: Sequence[TaskStatus], context: StepContext
) -> tuple[Measurement, ...]:
    source = f"bench.serve of {settings.model}, fresh process and fresh KV store for each setting"
    return measured_in(context, values_of(runs), scale=_scale(settings), source=source, tasks=tasks)


def _peer_measurements(
    settings: Settings, runs: Sequence[LoadRun], known: Container[str], context: StepContext
) -> tuple[Measurement, ...]:
    """What a peer adds. Its machine is not known, and if it is this one, its work is no disturbance."""
    values = {name: value for name, value in values_of(runs).items() if name not in known}
    source = f"bench.serve of {settings.model} against {settings.vs}"
    made = measured_in(context, values, scale=_scale(settings), source=source)
    return tuple(replace(item, hardware=f"that of the peer at {settings.vs}", busy_frac=None) for item in made)


def _scale(settings: Settings) -> str:
    answer = f"{settings.output_tokens} tokens out"
    if settings.load == "chat":
        return (
            f"{settings.streams} sessions x {settings.turns} turns, common system prompt of {settings.shared_tokens} tokens, "
            f"{settings.prompt_tokens} new tokens per turn, {answer}"
        )
    if settings.load == "documents":
        return (
            f"{settings.documents} documents of {settings.shared_tokens} tokens, {settings.turns} questions each, "
            f"{settings.streams} concurrent, {answer}"
        )
    if settings.load == "plain":
        return f"{settings.streams} streams x {settings.turns} prompts of {settings.prompt_tokens} tokens, {answer}"
    return f"{settings.load}, {settings.streams} concurrent, {answer}"
