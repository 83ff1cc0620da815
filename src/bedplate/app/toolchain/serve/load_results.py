"""What a load client measured, as numbers, pictures and a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from bedplate.core.figures import Figure, FigureKind, ResultTable, Series
from bedplate.core.json import JsonObject
from bedplate.core.measurement import Provenance

ENGINE = "bedplate"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRun:
    """One setting under one load."""

    kv: str
    """`off` or `on`."""
    load: str
    streams: int
    seconds: float
    """From the first request to the last answer."""
    requests: Sequence[Mapping[str, Any]]
    """As `workers/load.py` reports them, by conversation and turn."""

    @property
    def requests_per_s(self) -> float:
        """Answers per second."""
        return len(self.requests) / self.seconds

    @property
    def tokens_per_s(self) -> float:
        """Generated tokens per second."""
        return sum(len(request["tokens"]) for request in self.requests) / self.seconds

    @property
    def first_token_s(self) -> list[float]:
        """Time to first token of each request."""
        return [request["first_token_s"] for request in self.requests]

    @property
    def per_token_s(self) -> list[float]:
        """Time per further token of each request that had more than one."""
        return [request["per_token_s"] for request in self.requests if request["per_token_s"] is not None]

    @property
    def hit_frac(self) -> float:
        """Share of prompt tokens that were loaded instead of computed."""
        cached = sum(request["cached_tokens"] for request in self.requests)
        return float(cached / sum(request["prompt_tokens"] for request in self.requests))

    @property
    def answers(self) -> list[tuple[int, int, tuple[int, ...]]]:
        """(conversation, turn, tokens) of each request."""
        return [(request["conversation"], request["turn"], tuple(request["tokens"])) for request in self.requests]

    def as_json(self) -> JsonObject:
        """One entry of `results` in `bench serve -o json`."""
        return {
            "engine": ENGINE,
            "kv": self.kv,
            "load": self.load,
            "streams": self.streams,
            "requests": len(self.requests),
            "seconds": self.seconds,
            "requests_per_s": self.requests_per_s,
            "tokens_per_s": self.tokens_per_s,
            "prompt_tokens_per_s": sum(request["prompt_tokens"] for request in self.requests) / self.seconds,
            "ttft_s": percentiles(self.first_token_s),
            "tpot_s": percentiles(self.per_token_s),
            "hit_frac": self.hit_frac,
        }


def percentiles(values: Sequence[float]) -> dict[str, float | None]:
    """`p50` and `p99` (the smallest value that 99 % do not pass); None without values."""
    if not values:
        return {"p50": None, "p99": None}
    ordered = sorted(values)
    return {"p50": median(ordered), "p99": ordered[-(-99 * len(ordered) // 100) - 1]}


def values_of(runs: Sequence[LoadRun]) -> dict[str, float | None]:
    """Value of every measurement by its id; the ratios where memory was both off and on."""
    values: dict[str, float | None] = {}
    for run in runs:
        values |= {
            f"serve_requests_per_s_kv_{run.kv}": run.requests_per_s,
            f"serve_tokens_per_s_kv_{run.kv}": run.tokens_per_s,
            **{f"serve_ttft_{rank}_s_kv_{run.kv}": value for rank, value in percentiles(run.first_token_s).items()},
            **{f"serve_tpot_{rank}_s_kv_{run.kv}": value for rank, value in percentiles(run.per_token_s).items()},
        }
    by_kv = {run.kv: run for run in runs}
    if "on" in by_kv:
        values["kv_hit_frac"] = by_kv["on"].hit_frac
    if len(by_kv) == 2:
        off, on = by_kv["off"], by_kv["on"]
        values |= {
            "kv_throughput_ratio": on.requests_per_s / off.requests_per_s,
            "kv_ttft_ratio": median(off.first_token_s) / median(on.first_token_s),
            "kv_answers_equal": float(off.answers == on.answers),
        }
    return values


def figures_of(runs: Sequence[LoadRun], scale: str) -> tuple[Figure, ...]:
    """Time to first token by turn, and throughput."""
    turns = sorted({request["turn"] for run in runs for request in run.requests})
    labels = tuple(str(turn + 1) for turn in turns)
    first_token = Figure(
        id="serve_ttft_by_turn",
        title="Time to first token by turn, median",
        kind=FigureKind.BAR,
        x_label="turn",
        y_label="s",
        series=tuple(Series(name=f"KV memory {run.kv}", x=labels, y=_first_token_by_turn(run, turns)) for run in runs),
        provenance=Provenance.MEASURED,
    )
    rates = tuple(run.requests_per_s for run in runs)
    throughput = Figure(
        id="serve_throughput",
        title=f"Throughput: {scale}",
        kind=FigureKind.BAR,
        x_label="KV memory",
        y_label="requests/s",
        series=(Series(name="requests/s", x=tuple(run.kv for run in runs), y=rates),),
        provenance=Provenance.MEASURED,
    )
    return (first_token, throughput)


def _first_token_by_turn(run: LoadRun, turns: Sequence[int]) -> tuple[float | None, ...]:
    by_turn = [[item["first_token_s"] for item in run.requests if item["turn"] == turn] for turn in turns]
    return tuple(median(values) if values else None for values in by_turn)


def table_of(runs: Sequence[LoadRun]) -> ResultTable:
    """One row a setting."""
    return ResultTable(
        id="serve",
        title="Serving with KV memory off and on",
        columns=("KV memory", "requests/s", "tokens/s", "TTFT p50 (s)", "TTFT p99 (s)", "TPOT p50 (s)", "prompt from memory"),
        rows=tuple(
            (
                run.kv,
                round(run.requests_per_s, 3),
                round(run.tokens_per_s, 1),
                _rounded(percentiles(run.first_token_s)["p50"]),
                _rounded(percentiles(run.first_token_s)["p99"]),
                _rounded(percentiles(run.per_token_s)["p50"]),
                f"{run.hit_frac:.0%}",
            )
            for run in runs
        ),
        provenance=Provenance.MEASURED,
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
