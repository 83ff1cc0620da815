"""Claim: replicas that follow a forecast serve as much load as replicas that follow the last load, with fewer device-hours, and
training that shares the devices gets the difference.

A service's replicas follow a recorded load in the simulator of jobs, beside elastic training gangs that take all that is left:
scheduler, gangs, grace and restarts are those of the live service. Peers in the same run: static peak (replicas for the
highest load of all, known beforehand), and reactive capacity as of Kubernetes' autoscaler at several utilisations. Ours:
the upper quantile of the forecast until a replica serves that is started at the next step, at several margins. No forecast
knows what comes after it; everything is simulated, the load is replayed. Nothing is lent: the gangs can always shrink.

    python benchmarks/capacity_loop.py [--data DIR] [--column NAME] [--days 7] [--start 600] [--per-replica 1] [-o json]

DIR has demand traces as `compute forecast --series` reads them, `*.csv.gz` and `*.csv`, of which 10-minute means are served.
Without it, drawn daily loads. Exit code 1: no margin serves at least what reactive capacity does at its target of 80 %, in the
mean over the loads, with fewer device-hours.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

import numpy as np

from bedplate.cli.terminal.output import note, print_json, print_table
from bedplate.compute.capacity.following import CapacityMode, Following
from bedplate.compute.forecast.reading import read_series
from bedplate.compute.forecast.series import DemandSeries
from bedplate.compute.scheduler.job import Job, Request
from bedplate.compute.simulate.replay.cluster import machines
from bedplate.compute.simulate.replay.question import JobsQuestion
from bedplate.compute.simulate.serving.question import ServingLoad
from bedplate.compute.simulate.serving.rolling import RollingForecasts
from bedplate.compute.simulate.serving.service import in_simulated_time
from bedplate.compute.simulate.serving.simulate import ModeResult, run_mode
from bedplate.compute.simulate.traces.shorthand import read_cluster
from bedplate.compute.simulate.traces.trace import Trace, TracedJob
from bedplate.core.json import Json
from bedplate.core.reporter import NullReporter

TARGETS, MARGINS = (0.7, 0.8, 0.9, 0.95), (0.0, 0.05, 0.1, 0.2)
BASELINE = "reactive 80 %"
STEP_S, GANG, FEWEST = 600.0, 16, 2
_DRAWN_DAYS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to follow load."""

    name: str
    mode: CapacityMode
    target: float = 0.8
    margin: float = 0.0


VARIANTS = (
    Variant(name="static peak", mode=CapacityMode.STATIC),
    *(
        Variant(name=f"reactive {target:.0%}".replace("%", " %"), mode=CapacityMode.REACTIVE, target=target)
        for target in TARGETS
    ),
    *(
        Variant(name=f"forecast +{margin:.0%}".replace("%", " %"), mode=CapacityMode.FORECAST, margin=margin)
        for margin in MARGINS
    ),
)


def loads(options: argparse.Namespace) -> Iterator[DemandSeries]:
    """What is served, one after the other."""
    if options.data is None:
        yield from (drawn_load(seed) for seed in range(options.drawn))
        return
    files = sorted(path for pattern in ("*.csv", "*.csv.gz") for path in options.data.glob(pattern))
    for file in files:
        yield read_series(file, options.column, step_s=STEP_S)


def drawn_load(seed: int) -> DemandSeries:
    """A daily load with quiet weekends, bursts that decay, and noise."""
    draw = np.random.default_rng(seed)
    at = np.arange(_DRAWN_DAYS * 144)
    daily = np.maximum(0.0, np.sin(2 * np.pi * (at / 144 - 0.3))) ** 1.5
    week = np.where((at // 144) % 7 >= 5, 0.5, 1.0)
    bursts = np.convolve((draw.random(len(at)) < 0.004) * draw.exponential(8, len(at)), 0.95 ** np.arange(100))[: len(at)]
    values = np.maximum(0.0, (6 + 30 * daily) * week + bursts + draw.normal(0, 0.8, len(at)))
    return DemandSeries(name=f"drawn {seed}", start_s=0.0, step_s=STEP_S, values=values, latest=values)


def training(num_gangs: int, days: float) -> Trace:
    """Gangs that would take every device for all of the time."""
    request = Request(workers=GANG, min_workers=FEWEST, devices=1, cpu_milli=0)
    jobs = [
        Job(id=f"train-{at}", name=f"train-{at}", tenant="research", user="u", request=request, submitted_s=0.0)
        for at in range(num_gangs)
    ]
    traced = tuple(TracedJob(job=job, duration_s=2 * days * 86_400) for job in jobs)
    return Trace(source="benchmark", format="benchmark", jobs=traced, left_out={}, examples={})


def measure(series: DemandSeries, options: argparse.Namespace) -> list[tuple[Variant, ModeResult]]:
    """Every variant on one load."""
    most = max(2, int(np.ceil(np.nanmax(series.values) / options.per_replica)))
    words = f"{-(-(most + GANG) // 8)}x8:A100"
    nodes = machines(read_cluster(words), 32)
    follow = Following(per_replica=options.per_replica, start=options.start, most=most, every=STEP_S, lend=0.0)
    asked = ServingLoad(load=__file__, column=options.column, days=options.days, follow=follow)
    jobs = JobsQuestion(generate="jobs=1", cluster=words, policy=("default",))
    simulated = in_simulated_time(series, options.days)
    forecasts = RollingForecasts(series, follow, simulated.start_s)
    trace = training(-(-8 * len(nodes) // GANG), options.days)
    found = []
    for variant in VARIANTS:
        service = replace(asked, follow=replace(follow, target=variant.target, margin=variant.margin))
        result = run_mode(service, jobs, simulated, trace, nodes, "default", variant.mode, forecasts, NullReporter())
        found.append((variant, result))
    return found


def row_of(name: str, results: Sequence[ModeResult], statics: Sequence[ModeResult]) -> dict[str, Json]:
    """Means over the loads; device-hours as a share of what static peak takes."""
    return {
        "capacity": name,
        "serving_of_static_frac": mean(
            one.serving_device_hours / static.serving_device_hours for one, static in zip(results, statics, strict=True)
        ),
        "served_frac": mean(one.served_frac for one in results),
        "attained_frac": mean(one.attained_frac for one in results),
        "serving_device_hours": sum(one.serving_device_hours for one in results),
        "training_device_hours": sum(one.training_device_hours for one in results),
        "preemptions": sum(one.training.num_preemptions for one in results),
        "resizes": sum(len(one.training.resized_s) for one in results),
        "lost_device_hours": sum(one.training.lost_device_s for one in results) / 3600,
        "forecast_frac": mean(one.forecast_frac for one in results),
    }


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with demand traces; drawn ones by default")
    parser.add_argument("--column", default="running_gpu_num+pending_gpu_num", help="what is the load")
    parser.add_argument("--days", type=float, default=7.0, help="length of what is simulated: the last days")
    parser.add_argument("--start", type=float, default=600.0, help="seconds that a replica takes to start")
    parser.add_argument("--per-replica", type=float, default=1.0, help="load that a replica carries; each has one device")
    parser.add_argument("--drawn", type=int, default=2, help="number of drawn loads")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    options = parser.parse_args()
    by_load: dict[str, list[tuple[Variant, ModeResult]]] = {}
    for series in loads(options):
        note(f"{series.name}: {len(series)} steps, mean {np.nanmean(series.values):.1f}, peak {np.nanmax(series.values):.1f}")
        by_load[series.name] = measure(series, options)
    statics = [found[0][1] for found in by_load.values()]
    rows = [row_of(variant.name, [found[at][1] for found in by_load.values()], statics) for at, variant in enumerate(VARIANTS)]
    saved = best_saving(rows)
    if options.output == "json":
        print_json(
            {
                "rows": rows,
                "loads": {name: [{"name": v.name, **r.as_json()} for v, r in found] for name, found in by_load.items()},
                "saved_frac": saved,
                "baseline": BASELINE,
                "days": options.days,
                "start_s": options.start,
                "machine": f"{platform.machine()}, {os.cpu_count()} cores",
                "provenance": "simulated",
            }
        )
    else:
        _print(rows, len(by_load), options)
    if saved is None:
        note(f"no margin serves what {BASELINE} does with fewer device-hours")
    else:
        note(f"{saved:.1%} fewer device-hours than {BASELINE} at the least margin that serves no less")
    return 0 if saved is not None and saved > 0 else 1


def best_saving(rows: Sequence[dict[str, Json]]) -> float | None:
    """Device-hours that the least margin saves which serves no less than the baseline; None if there is none."""
    baseline = next(row for row in rows if row["capacity"] == BASELINE)
    for row in rows:
        if str(row["capacity"]).startswith("forecast") and _number(row["served_frac"]) >= _number(baseline["served_frac"]):
            return 1 - _number(row["serving_device_hours"]) / _number(baseline["serving_device_hours"])
    return None


def _number(value: Json) -> float:
    assert isinstance(value, int | float)
    return float(value)


def _print(rows: Sequence[dict[str, Json]], count: int, options: argparse.Namespace) -> None:
    table = [
        (
            row["capacity"],
            f"{_number(row['serving_device_hours']):.0f}",
            f"{_number(row['serving_of_static_frac']):.1%}",
            f"{_number(row['served_frac']):.3%}",
            f"{_number(row['attained_frac']):.2%}",
            f"{_number(row['training_device_hours']):.0f}",
            row["preemptions"],
            row["resizes"],
            f"{_number(row['forecast_frac']):.0%}",
        )
        for row in rows
    ]
    title = f"{count} loads, {options.days:g} days, a replica starts in {options.start:g} s; simulated"
    headings = ["capacity", "serving device-hours", "of static", "load served", "time all served", "training device-hours"]
    print_table([*headings, "preempted", "resizes", "forecast followed"], table, title=title)


if __name__ == "__main__":
    sys.exit(main())
