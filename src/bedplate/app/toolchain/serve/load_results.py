"""What a load client measured, as numbers, pictures and a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bedplate.core.figures import Figure, FigureKind, ResultTable, Series
from bedplate.core.json import JsonObject
from bedplate.core.measurement import Provenance
from bedplate.core.text import AnyText, text
from bedplate.toolchain.load.messages import LoadResult, RequestResult

KV_MEMORY = {"off": text("KV memory off"), "on": text("KV memory on")}
"""What the two settings are called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRun:
    """One setting, or one peer, under one load."""

    kv: str | None
    """`off` or `on`; None for a peer, whose settings are its own."""
    load: str
    streams: int
    result: LoadResult

    @property
    def seconds(self) -> float:
        """From the first request to the last answer."""
        return self.result.seconds

    @property
    def requests(self) -> tuple[RequestResult, ...]:
        """By conversation and turn."""
        return self.result.requests

    @property
    def label(self) -> AnyText:
        """For people: the KV memory setting, or the peer's engine."""
        return self.result.engine if self.kv is None else KV_MEMORY[self.kv]

    @property
    def suffix(self) -> str:
        """Last part of the ids of its measurements."""
        return "peer" if self.kv is None else f"kv_{self.kv}"

    @property
    def requests_per_s(self) -> float:
        """Answers per second."""
        return len(self.requests) / self.seconds

    @property
    def tokens_per_s(self) -> float:
        """Generated tokens per second."""
        return sum(request.num_tokens for request in self.requests) / self.seconds

    @property
    def first_token_s(self) -> list[float]:
        """Time to first token of each request."""
        return [request.first_token_s for request in self.requests]

    @property
    def per_token_s(self) -> list[float]:
        """Time per further token of each request that had more than one."""
        return [request.per_token_s for request in self.requests if request.per_token_s is not None]

    @property
    def hit_frac(self) -> float | None:
        """Share of prompt tokens that were loaded instead of computed; None where the server does not say."""
        cached = [request.cached_tokens for request in self.requests if request.cached_tokens is not None]
        if len(cached) < len(self.requests):
            return None
        return sum(cached) / sum(request.prompt_tokens for request in self.requests)

    @property
    def answers(self) -> list[tuple[int, int, tuple[int, ...]]]:
        """(conversation, turn, tokens) of each request."""
        return [(request.conversation, request.turn, request.tokens) for request in self.requests]

    def as_json(self) -> JsonObject:
        """One entry of `results` in `bench serve -o json`."""
        return {
            "engine": self.result.engine,
            "kv": self.kv,
            "load": self.load,
            "streams": self.streams,
            "requests": len(self.requests),
            "seconds": self.seconds,
            "requests_per_s": self.requests_per_s,
            "tokens_per_s": self.tokens_per_s,
            "prompt_tokens_per_s": sum(request.prompt_tokens for request in self.requests) / self.seconds,
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
    """Value of every measurement by its id; ratios where memory was both off and on, and where there was a peer."""
    values: dict[str, float | None] = {}
    for run in runs:
        values |= {
            f"serve_requests_per_s_{run.suffix}": run.requests_per_s,
            f"serve_tokens_per_s_{run.suffix}": run.tokens_per_s,
            **{f"serve_ttft_{rank}_s_{run.suffix}": value for rank, value in percentiles(run.first_token_s).items()},
            **{f"serve_tpot_{rank}_s_{run.suffix}": value for rank, value in percentiles(run.per_token_s).items()},
        }
    by_kv = {run.kv: run for run in runs}
    if "on" in by_kv:
        values["kv_hit_frac"] = by_kv["on"].hit_frac
    if "off" in by_kv and "on" in by_kv:
        values |= _kv_ratios(by_kv["off"], by_kv["on"])
    if None in by_kv:
        peer, ours = by_kv[None], next(run for run in reversed(runs) if run.kv is not None)
        values |= {
            "peer_throughput_ratio": ours.requests_per_s / peer.requests_per_s,
            "peer_ttft_ratio": median(peer.first_token_s) / median(ours.first_token_s),
        }
    return values


def _kv_ratios(off: LoadRun, on: LoadRun) -> dict[str, float | None]:
    return {
        "kv_throughput_ratio": on.requests_per_s / off.requests_per_s,
        "kv_ttft_ratio": median(off.first_token_s) / median(on.first_token_s),
        "kv_answers_equal": float(off.answers == on.answers),
    }


def figures_of(runs: Sequence[LoadRun], scale: AnyText) -> tuple[Figure, ...]:
    """Time to first token by turn, and throughput."""
    turns = sorted({request.turn for run in runs for request in run.requests})
    labels = tuple(str(turn + 1) for turn in turns)
    first_token = Figure(
        id="serve_ttft_by_turn",
        title=text("Time to first token by turn, median"),
        kind=FigureKind.BAR,
        x_label=text("turn"),
        y_label="s",
        series=tuple(Series(name=run.label, x=labels, y=_first_token_by_turn(run, turns)) for run in runs),
        provenance=Provenance.MEASURED,
    )
    rates = tuple(run.requests_per_s for run in runs)
    throughput = Figure(
        id="serve_throughput",
        title=text("Throughput"),
        details=scale,
        kind=FigureKind.BAR,
        x_label=text("KV memory"),
        y_label=text("requests/s"),
        series=(Series(name=text("requests/s"), x=tuple(run.kv or run.result.engine for run in runs), y=rates),),
        provenance=Provenance.MEASURED,
    )
    return (first_token, throughput)


def _first_token_by_turn(run: LoadRun, turns: Sequence[int]) -> tuple[float | None, ...]:
    by_turn = [[item.first_token_s for item in run.requests if item.turn == turn] for turn in turns]
    return tuple(median(values) if values else None for values in by_turn)


def table_of(runs: Sequence[LoadRun]) -> ResultTable:
    """One row a setting."""
    return ResultTable(
        id="serve",
        title=text("Serving with KV memory off and on"),
        columns=(
            text("setting"),
            text("requests/s"),
            text("tokens/s"),
            text("TTFT p50 (s)"),
            text("TTFT p99 (s)"),
            text("TPOT p50 (s)"),
            text("prompt from memory"),
        ),
        rows=tuple(
            (
                run.label,
                round(run.requests_per_s, 3),
                round(run.tokens_per_s, 1),
                _rounded(percentiles(run.first_token_s)["p50"]),
                _rounded(percentiles(run.first_token_s)["p99"]),
                _rounded(percentiles(run.per_token_s)["p50"]),
                None if run.hit_frac is None else f"{run.hit_frac:.0%}",
            )
            for run in runs
        ),
        provenance=Provenance.MEASURED,
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
