"""`bench.serve`: a server under load, with the KV memory off and on, over real HTTP.

Each setting is one task: a fresh server process, a fresh KV store, and the client in a process of its own, on the same
cores. All settings get the same prompts, token for token; a turn's prompt contains the server's earlier answers, so the
loads stay the same only while the greedy answers do, and whether they did is one of the measurements.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Literal

from bedplate.app.gangs import run_gang
from bedplate.app.pipeline.step import StepContext, StepResult
from bedplate.app.serving import KV_STORE, all_cores, find_model, kv_url
from bedplate.core.errors import UnavailableError, UsageError
from bedplate.core.figures import Figure, FigureKind, ResultTable, Series
from bedplate.core.json import JsonObject
from bedplate.core.measurement import Measurement, Provenance
from bedplate.core.settings import Range
from bedplate.core.units import ByteCount, Count
from bedplate.core.workload import Gang, Task, TaskEvent

EXPLANATION = {
    "en": "Serve the model behind an OpenAI-compatible door and play a multi-turn chat against it, without and with KV memory.",
    "zh": "以 OpenAI 兼容接口部署模型，在关闭与开启 KV 记忆两种设置下进行多轮对话压测。",
}
ENGINE = "bedplate"
RESULT_FILE = "serve.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Keys of a `bench.serve` step."""

    model: str
    """A model folder (`$compress`), or the name of a fetched model."""
    load: str = "chat"
    """`chat` (sessions with a common system prompt), `documents`, `plain`, or a file of JSON lines."""
    kv: tuple[Literal["off", "on"], ...] = ("off", "on")
    """KV memory settings to measure, in this order."""
    streams: Annotated[Count, Range(1)] = 6
    """Requests in flight at once; in `chat` also the number of sessions."""
    turns: Annotated[Count, Range(1)] = 5
    """Turns of a session; questions about a document; prompts of a stream in `plain`."""
    shared_tokens: Annotated[Count, Range(0)] = 1000
    """Common system prompt of `chat`; length of a document."""
    prompt_tokens: Annotated[Count, Range(1)] = 250
    """New tokens of a turn, of a question, or the whole prompt in `plain`."""
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


def plan(settings: Settings, context: StepContext) -> Sequence[str]:
    """See `app/pipeline/step.py`."""
    return (
        f"serve {settings.model} from a fresh process with KV memory {' and then '.join(settings.kv)}",
        f"play '{settings.load}' against it: {_scale(settings)}",
        "compare throughput, time to first token, and all greedy answers",
    )


def run(settings: Settings, context: StepContext) -> StepResult:
    """See `app/pipeline/step.py`.

    Raises:
        NotFoundError: No such model or load.
        UnavailableError: A server could not be started.
        TaskError: A request failed.
    """
    if len(set(settings.kv)) != len(settings.kv) or not settings.kv:
        raise UsageError("'kv' names each setting once", seen=list(settings.kv), expected="[off], [on] or [off, on]")
    model = find_model(settings.model)
    runs: dict[str, Mapping[str, Any]] = {kv: _measure(settings, model, kv, context) for kv in settings.kv}
    results = [_result(kv, settings, measured) for kv, measured in runs.items()]
    document: JsonObject = {"results": results, "scale": _scale(settings), "model": str(model)}
    file = context.directory / RESULT_FILE
    aside = file.with_suffix(".partial")
    aside.write_text(json.dumps(document, indent=2))
    aside.rename(file)
    return StepResult(
        path=file,
        outputs=document,
        measurements=_measurements(settings, runs, results, context),
        figures=_figures(settings, runs, results),
        tables=(_table(results),),
    )


def _measure(settings: Settings, model: Path, kv: str, context: StepContext) -> Mapping[str, Any]:
    directory = context.directory / "kv"
    shutil.rmtree(directory, ignore_errors=True)
    context.say(f"serving {model.name} with KV memory {kv}: {_scale(settings)}")
    stores = {KV_STORE: kv_url(directory, settings.memory, settings.disk)} if kv == "on" else {}
    task = Task(
        entry="bedplate.workers.serve_load:main",
        spec=_spec(settings, model),
        stores=stores,
        resources=all_cores(context.engine),
    )
    before = [str(word) for word in settings.kv].index(kv)

    def show_progress(event: TaskEvent) -> None:
        done, total = float(event.attributes["done"]), float(event.attributes["total"])  # type: ignore[arg-type]
        context.progress(before * total + done, len(settings.kv) * total, "requests")

    try:
        status = run_gang(context, Gang(name=f"serve-{kv}", tasks=(task,)), show_progress)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    measured = status.tasks[0].result
    if measured is None:
        raise UnavailableError("the measurement left no result", seen=status.tasks[0].message)
    return measured


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


def _result(kv: str, settings: Settings, measured: Mapping[str, Any]) -> dict[str, Any]:
    requests, seconds = measured["requests"], measured["seconds"]
    prompt_tokens = sum(request["prompt_tokens"] for request in requests)
    return {
        "engine": ENGINE,
        "kv": kv,
        "load": settings.load,
        "streams": settings.streams,
        "requests": len(requests),
        "seconds": seconds,
        "requests_per_s": len(requests) / seconds,
        "tokens_per_s": sum(len(request["tokens"]) for request in requests) / seconds,
        "prompt_tokens_per_s": prompt_tokens / seconds,
        "ttft_s": _percentiles([request["first_token_s"] for request in requests]),
        "tpot_s": _percentiles([request["per_token_s"] for request in requests if request["per_token_s"] is not None]),
        "hit_frac": sum(request["cached_tokens"] for request in requests) / prompt_tokens,
    }


def _percentiles(values: Sequence[float]) -> dict[str, float | None]:
    if not values:
        return {"p50": None, "p99": None}
    ordered = sorted(values)
    return {"p50": median(ordered), "p99": ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]}


def _measurements(
    settings: Settings, runs: Mapping[str, Mapping[str, Any]], results: Sequence[Mapping[str, Any]], context: StepContext
) -> tuple[Measurement, ...]:
    values: list[tuple[str, float | None, str]] = []
    for result in results:
        kv = result["kv"]
        values += [
            (f"serve_requests_per_s_kv_{kv}", result["requests_per_s"], "requests/s"),
            (f"serve_tokens_per_s_kv_{kv}", result["tokens_per_s"], "tokens/s"),
            (f"serve_ttft_p50_s_kv_{kv}", result["ttft_s"]["p50"], "s"),
            (f"serve_tpot_p50_s_kv_{kv}", result["tpot_s"]["p50"], "s"),
        ]
    by_kv = {result["kv"]: result for result in results}
    if "on" in by_kv:
        values.append(("kv_hit_frac", by_kv["on"]["hit_frac"], "frac"))
    if len(by_kv) == 2:
        off, on = by_kv["off"], by_kv["on"]
        values += [
            ("kv_throughput_ratio", on["requests_per_s"] / off["requests_per_s"], "ratio"),
            ("kv_ttft_ratio", off["ttft_s"]["p50"] / on["ttft_s"]["p50"], "ratio"),
            ("kv_answers_equal", float(_answers(runs["off"]) == _answers(runs["on"])), "bool"),
        ]
    hardware, at_s = _hardware(context), context.clock.now()
    return tuple(
        Measurement(
            id=name,
            value=value,
            unit=unit,
            provenance=Provenance.MEASURED,
            hardware=hardware,
            scale=_scale(settings),
            source=f"bench.serve of {settings.model}, fresh process and fresh KV store for each setting",
            at_s=at_s,
        )
        for name, value, unit in values
    )


def _answers(measured: Mapping[str, Any]) -> list[tuple[int, int, tuple[int, ...]]]:
    return [(request["conversation"], request["turn"], tuple(request["tokens"])) for request in measured["requests"]]


def _hardware(context: StepContext) -> str:
    devices = [device for node in context.engine.resources() for device in node.devices if device.kind == "cpu"]
    return f"{all_cores(context.engine).cpus} cores of {devices[0].model}" if devices else ""


def _figures(
    settings: Settings, runs: Mapping[str, Mapping[str, Any]], results: Sequence[Mapping[str, Any]]
) -> tuple[Figure, ...]:
    turns = sorted({request["turn"] for measured in runs.values() for request in measured["requests"]})
    first_token = Figure(
        id="serve_ttft_by_turn",
        title="Time to first token by turn, median",
        kind=FigureKind.BAR,
        x_label="turn",
        y_label="s",
        series=tuple(
            Series(name=f"KV memory {kv}", x=tuple(str(turn + 1) for turn in turns), y=_ttft_by_turn(measured, turns))
            for kv, measured in runs.items()
        ),
        provenance=Provenance.MEASURED,
    )
    throughput = Figure(
        id="serve_throughput",
        title=f"Throughput: {_scale(settings)}",
        kind=FigureKind.BAR,
        x_label="KV memory",
        y_label="requests/s",
        series=(
            Series(
                name="requests/s",
                x=tuple(str(result["kv"]) for result in results),
                y=tuple(result["requests_per_s"] for result in results),
            ),
        ),
        provenance=Provenance.MEASURED,
    )
    return (first_token, throughput)


def _ttft_by_turn(measured: Mapping[str, Any], turns: Sequence[int]) -> tuple[float | None, ...]:
    by_turn = {turn: [item["first_token_s"] for item in measured["requests"] if item["turn"] == turn] for turn in turns}
    return tuple(median(values) if values else None for values in by_turn.values())


def _table(results: Sequence[Mapping[str, Any]]) -> ResultTable:
    return ResultTable(
        id="serve",
        title="Serving with KV memory off and on",
        columns=("KV memory", "requests/s", "tokens/s", "TTFT p50 (s)", "TTFT p99 (s)", "TPOT p50 (s)", "prompt from memory"),
        rows=tuple(
            (
                result["kv"],
                round(result["requests_per_s"], 3),
                round(result["tokens_per_s"], 1),
                round(result["ttft_s"]["p50"], 3),
                round(result["ttft_s"]["p99"], 3),
                None if result["tpot_s"]["p50"] is None else round(result["tpot_s"]["p50"], 4),
                f"{result['hit_frac']:.0%}",
            )
            for result in results
        ),
        provenance=Provenance.MEASURED,
    )


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
