"""The question put to the simulator of jobs; separate from the answer, so that reading it loads no numerics."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import field
from typing import Annotated

from bedplate.compute.scheduler.settings import SchedulerSettings
from bedplate.compute.simulate.replay.conditions import Conditions
from bedplate.compute.simulate.replay.policies import scheduler_settings
from bedplate.core.errors import UsageError
from bedplate.core.settings import InputFile, Range, settings
from bedplate.core.units import Duration, Fraction, parse_bytes

DEFAULT_POLICIES = ("fifo", "backfill", "fair")


class Estimates(enum.StrEnum):
    """What the scheduler is told of how long jobs will run."""

    TRACE = "trace"
    """What their users said, where the trace has it."""
    EXACT = "exact"
    """How long they do run: nobody knows that in life; a bound on what estimates are worth."""
    NONE = "none"
    """Nothing."""


@settings
class JobsQuestion:
    """A question as people write it."""

    jobs: InputFile | None = None
    """Trace of jobs with durations: Philly (JSON or CSV), Helios, openb pods with times, Slurm's `sacct -P`, or our own CSV."""
    generate: str | None = None
    """Synthetic trace in words instead of a file: `jobs=1e6,load=0.9,tenants=12,seed=3`."""
    format: str | None = None
    """Format of the trace if its first line does not tell: bedplate, helios, openb, philly-csv, philly-json or slurm."""
    arrival_rate: Annotated[float, Range(1e-6, 1e6)] = 1.0
    """Jobs arrive this many times as fast as in the trace: the same jobs at another load."""
    nodes: InputFile | None = None
    """CSV with `sn,cpu_milli,memory_mib,gpu,model`."""
    cluster: str | None = None
    """Nodes in words instead: `100x8:A100,50x8:V100:96:1TB`, nodes x devices : model : cores : memory."""
    leaf: Annotated[int, Range(1)] = 32
    """Nodes under one leaf switch, in the order in which they are listed."""
    policy: tuple[str, ...] = DEFAULT_POLICIES
    """`QUEUE` or `QUEUE/PLACEMENT`; QUEUE: `fifo`, `backfill`, `shortest`, `priority`, `fair`, `default`, or rules joined by
    `+`; PLACEMENT: a placement policy; either may be the dotted path of your own module."""
    estimates: Estimates = Estimates.TRACE
    """What the scheduler is told of how long jobs will run."""
    speeds: str = ""
    """Speed of models: `H100=3,A100=1,V100=0.4`; 1 where one is not named."""
    device_memory: str = ""
    """Memory of one device of a model: `A100=80GB,V100=32GB`; needed where jobs ask for an amount of it."""
    weights: str = ""
    """Weights of tenants in the fair share: `research=2,products=1`; 1 where one is not named."""
    period: Duration = 0.0
    """Least time between two decisions; 0 decides whenever something happened."""
    scaling: Annotated[float, Range(0, 1)] = 1.0
    """With half of its workers a job is 2^-scaling times as fast."""
    checkpoint_every: Duration = 3600.0
    """How often running jobs save themselves; 0 is all the time."""
    checkpoint_takes: Duration = 20.0
    """What a job that is asked to stop needs to save itself; if its grace is shorter, work is lost."""
    restart: Duration = 60.0
    """What a job needs until it works again after a restart or a change of its size."""
    mtbf: Duration | None = None
    """Mean time between failures of one node; they do not fail by default."""
    repair: Duration = 14_400.0
    """Mean time to repair of a node."""
    seed: Annotated[int, Range(0)] = 0
    """Of failures and repairs."""
    most_left_out: Fraction = 0.2
    """Most of the trace's jobs that may be left out (never started, not finished …) before the trace is refused."""
    scheduler: SchedulerSettings = field(default_factory=SchedulerSettings)
    """What policies do not say."""
    save_jobs: str | None = None
    """Write the jobs to this file, in our own format."""
    report: str | None = None
    """Write figures to this HTML file: allocation, queue length and completion times of each policy."""
    trace: str | None = None
    """Write what ran where to this file, for Perfetto or chrome://tracing; small runs only."""

    def __post_init__(self) -> None:
        for given, names, what in (
            ((self.jobs, self.generate), "jobs or generate", "a trace of jobs, or words to make one of"),
            ((self.nodes, self.cluster), "nodes or cluster", "the nodes, as a file or in words"),
        ):
            if (given[0] is None) == (given[1] is None):
                raise UsageError(
                    f"exactly one of {names} is needed",
                    seen="both" if given[0] else "neither",
                    expected=what,
                    next_step="such as --generate jobs=300 --cluster 6x8:A100",
                )
        if self.generate is not None and self.format is not None:
            raise UsageError("a generated trace has no format", seen=self.format, expected="format with jobs only")
        if not self.policy or len(set(self.policy)) < len(self.policy):
            raise UsageError(
                "policies must be there, each once", seen=", ".join(self.policy), expected="such as fifo, fair/fgd"
            )
        for policy in self.policy:
            scheduler_settings(policy, self.scheduler)
        self.speed_by_model()
        self.memory_by_model()
        self.weight_by_tenant()

    def conditions(self) -> Conditions:
        """What the simulated world does."""
        return Conditions(
            period_s=self.period,
            scaling=self.scaling,
            checkpoint_every_s=self.checkpoint_every,
            checkpoint_takes_s=self.checkpoint_takes,
            restart_s=self.restart,
            mtbf_s=self.mtbf or 0.0,
            repair_s=self.repair,
            seed=self.seed,
        )

    def speed_by_model(self) -> dict[str, float]:
        """Speeds, above 0; raises UsageError where they cannot be read."""
        return _numbers(self.speeds, "speeds", "H100=3,A100=1")

    def memory_by_model(self) -> dict[str, int]:
        """Bytes; raises UsageError where they cannot be read."""
        return {
            name: round(size) for name, size in _numbers(self.device_memory, "device memory", "A100=80GB", parse_bytes).items()
        }

    def weight_by_tenant(self) -> dict[str, float]:
        """Weights, above 0; raises UsageError where they cannot be read."""
        return _numbers(self.weights, "weights", "research=2,products=1")


def _numbers(words: str, what: str, example: str, parse: Callable[[str], float] = float) -> dict[str, float]:
    read: dict[str, float] = {}
    for part in filter(None, words.split(",")):
        name, _, text = part.partition("=")
        try:
            number = parse(text)
        except (ValueError, UsageError):
            number = 0.0
        if not name.strip() or not 0 < number < float("inf") or name.strip() in read:
            raise UsageError(f"the {what} cannot be read", seen=part, expected=f"{example}: each once, above 0")
        read[name.strip()] = number
    return read
