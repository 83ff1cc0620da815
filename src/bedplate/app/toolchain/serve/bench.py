"""`bench.serve`: a server under load, with the KV memory off and on, over real HTTP.

Each setting is one task: a fresh server process, a fresh KV store, and the client in a process of its own, on the same
cores. All settings get the same prompts, token for token; a turn's prompt contains the server's earlier answers, so the
loads stay the same only while the greedy answers do, and whether they did is one of the measurements.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from bedplate.app.pipeline.contract.gangs import run_gang
from bedplate.app.pipeline.contract.measured import measured_in
from bedplate.app.pipeline.contract.step import PlanContext, StepContext, StepResult
from bedplate.app.toolchain.serve.common import ENVIRONMENT, ModelInput, all_cores, find_model, kv_url
from bedplate.app.toolchain.serve.load_results import LoadRun, figures_of, table_of, values_of
from bedplate.core.blocks import KV_STORE
from bedplate.core.errors import UnavailableError, UsageError
from bedplate.core.json import JsonObject
from bedplate.core.measurement import Measurement
from bedplate.core.settings import Input, Range, settings
from bedplate.core.units import ByteCount, Count
from bedplate.core.workload import Gang, Task, TaskEvent
from bedplate.toolchain.serve.loads import KINDS

EXPLANATION = {
    "en": "Serve the model behind an OpenAI-compatible door and play a multi-turn chat against it, without and with KV memory.",
    "zh": "以 OpenAI 兼容接口部署模型，在关闭与开启 KV 记忆两种设置下进行多轮对话压测。",
}
RESULT_FILE = "serve.json"


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
    """Requests in flight at once; in `chat` also the number of sessions."""
    turns: Annotated[Count, Range(1)] = 5
    """Turns of a session; questions about a document; prompts of a stream in `plain`."""
    shared_tokens: Annotated[Count, Range(0)] | None = None
    """Common system prompt of `chat` (by default 1000); length of a document (3000)."""
    prompt_tokens: Annotated[Count, Range(1)] | None = None
    """New tokens of a turn of `chat` (by default 250) or of a question (50), or the complete prompt in `plain` (64)."""
    output_tokens: Annotated[Count, Range(1)] = 16
    """Tokens of each answer; end-of-text is ignored."""
    documents: Annotated[Count, Range(1)] = 20
    """Number of documents."""
    memory: Annotated[ByteCount, Range(1)] = 1_000_000_000
    """KV memory tier."""
    disk: Annotated[ByteCount, Range(1)] = 4_000_000_000
    """KV disk tier."""
    max_batch: Annotated[Count, Range(1, 256)] = 8
    """Sequences that the server runs at once."""
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    """Number format of weights and KV."""
    seed: int = 0
    """Same seed, same prompts."""


def plan(settings: Settings, context: PlanContext) -> Sequence[str]:
    """See `app/pipeline/contract/step.py`."""
    settings = _complete(settings)
    return (
        f"serve {settings.model} from a fresh process with KV memory {' and then '.join(settings.kv)}",
        f"play '{settings.load}' against it: {_scale(settings)}",
        "compare throughput, time to first token, and all greedy answers",
    )


def run(settings: Settings, context: StepContext) -> StepResult:
    """See `app/pipeline/contract/step.py`.

    Raises:
        NotFoundError: No such model or load.
        UnavailableError: A server could not be started.
        TaskError: A request failed.
    """
    settings = _complete(settings)
    if len(set(settings.kv)) != len(settings.kv) or not settings.kv:
        raise UsageError("'kv' names each setting once", seen=list(settings.kv), expected="[off], [on] or [off, on]")
    model = find_model(settings.model)
    runs = tuple(_measure(settings, model, kv, context) for kv in settings.kv)
    document: JsonObject = {"results": [run.as_json() for run in runs], "scale": _scale(settings), "model": str(model)}
    file = context.directory / RESULT_FILE
    aside = file.with_suffix(".partial")
    aside.write_text(json.dumps(document, indent=2))
    aside.rename(file)
    return StepResult(
        path=file,
        outputs=document,
        measurements=_measurements(settings, runs, context),
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


def _measure(settings: Settings, model: Path, kv: str, context: StepContext) -> LoadRun:
    directory = context.directory / "kv"
    shutil.rmtree(directory, ignore_errors=True)
    context.reporter.say(f"serving {model.name} with KV memory {kv}: {_scale(settings)}")
    stores = {KV_STORE: kv_url(directory, settings.memory, settings.disk)} if kv == "on" else {}
    task = Task(
        entry="bedplate.workers.serve_load:main",
        spec=_spec(settings, model),
        stores=stores,
        resources=all_cores(context.engine),
        environment=ENVIRONMENT,
    )
    before = [str(word) for word in settings.kv].index(kv)

    def show_progress(event: TaskEvent) -> None:
        done, total = float(event.attributes["done"]), float(event.attributes["total"])  # type: ignore[arg-type]
        context.reporter.progress(before * total + done, len(settings.kv) * total, "requests")

    try:
        status = run_gang(context.engine, Gang(name=f"serve-{kv}", tasks=(task,)), context.reporter, show_progress)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    measured: Mapping[str, Any] | None = status.tasks[0].result
    if measured is None:
        raise UnavailableError("the measurement left no result", seen=status.tasks[0].message)
    return LoadRun(
        kv=kv, load=settings.load, streams=settings.streams, seconds=measured["seconds"], requests=measured["requests"]
    )


def _spec(settings: Settings, model: Path) -> JsonObject:
    return {
        "serve": {
            "model": str(model),
            "name": model.name,
            "dtype": settings.dtype,
            "engine": {"max_batch": settings.max_batch},
        },
        "load": {
            "kind": settings.load,
            "streams": settings.streams,
            "turns": settings.turns,
            "shared_tokens": settings.shared_tokens,
            "prompt_tokens": settings.prompt_tokens,
            "output_tokens": settings.output_tokens,
            "documents": settings.documents,
            "seed": settings.seed,
        },
    }


def _measurements(settings: Settings, runs: Sequence[LoadRun], context: StepContext) -> tuple[Measurement, ...]:
    source = f"bench.serve of {settings.model}, fresh process and fresh KV store for each setting"
    return measured_in(context, values_of(runs), scale=_scale(settings), source=source)


def _scale(settings: Settings) -> str:
    answer = f"{settings.output_tokens} tokens out"
    if settings.load == "chat":
        return (
            f"{settings.streams} sessions x {settings.turns} turns, common system prompt of {settings.shared_tokens} tokens, "
            f"{settings.prompt_tokens} new tokens a turn, {answer}"
        )
    if settings.load == "documents":
        return (
            f"{settings.documents} documents of {settings.shared_tokens} tokens, {settings.turns} questions each, "
            f"{settings.streams} at once, {answer}"
        )
    if settings.load == "plain":
        return f"{settings.streams} streams x {settings.turns} prompts of {settings.prompt_tokens} tokens, {answer}"
    return f"{settings.load}, {settings.streams} at once, {answer}"
