"""`compute simulate`: requests of a trace packed by a placement policy, for the command line and for Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from bedplate.compute.scheduler.placement import DEFAULT_POLICY
from bedplate.compute.simulate.question import PackingQuestion as Settings
from bedplate.core.json import JsonObject
from bedplate.core.reporter import NullReporter, Reporter

if TYPE_CHECKING:
    from bedplate.compute.simulate.packing import PackingRun

__all__ = ["DEFAULT_POLICY", "PackingResult", "Settings", "simulate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackingResult:
    """One run a seed."""

    runs: Sequence[PackingRun]
    num_devices: int

    @property
    def mean_allocation_frac(self) -> float:
        """Of the devices' capacity, over the seeds."""
        return mean(run.allocation_frac for run in self.runs)

    def as_json(self) -> JsonObject:
        """The keys that others script against."""
        return {
            "runs": [run.as_json(self.num_devices) for run in self.runs],
            "mean_allocation_pct_at_100": 100 * self.mean_allocation_frac,
            "provenance": "simulated",
        }


def simulate(settings: Settings, reporter: Reporter | None = None) -> PackingResult:
    """Answer the question, one order of arrivals after the other.

    Raises:
        NotFoundError, ConfigurationError: A trace is missing or cannot be read, with its line.
        UsageError: Nothing to pack, or a policy that cannot be loaded.
    """
    from bedplate.compute.simulate.openb import read_nodes, read_pods
    from bedplate.compute.simulate.packing import PackingTrace

    reporter = reporter or NullReporter()
    history = read_pods(Path(settings.history)) if settings.history else None
    trace = PackingTrace(read_nodes(Path(settings.nodes)), read_pods(Path(settings.pods)), settings.tune, history)
    if never := trace.never_fitting():
        need, count = max(never.items(), key=lambda item: item[1])
        reporter.say(f"warning: {sum(never.values())} pods fit on no node even if it is empty; {count} of them need {need}")
    seeds, runs = settings.seed_range(), []
    for seed in seeds:
        reporter.check_cancelled()
        runs.append(trace.run(settings.policy, seed))
        reporter.progress(len(runs), len(seeds), "seeds")
    return PackingResult(runs=runs, num_devices=trace.num_devices)
