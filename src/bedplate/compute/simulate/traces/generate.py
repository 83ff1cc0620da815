"""Synthetic traces: what large shared clusters have in common, in a few numbers.

- Durations are lognormal: most jobs take minutes, a few take weeks and most of the device time.
- Arrivals follow the hour of the day and the day of the week (a thinned Poisson process), at a mean rate for which the
  cluster would be used to `load` if nothing were lost.
- Sizes are powers of two, most of them 1; large ones are gangs of whole nodes. Some single ones take a share of a device.
- Tenants differ in size by Zipf's law, and so do the users of each.
- Some jobs fail or are cancelled, at a random point of the duration that they would have had.

The defaults have the shape of published traces (medians of minutes, means of hours; more than half of the jobs on one
device; nearly a third not completed): Jeon et al., ATC 2019; Hu et al., SC 2021; Weng et al., ATC 2023.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np

from bedplate.compute.scheduler.job import WHOLE, Job
from bedplate.compute.scheduler.placement.arrays import Floats, Ints
from bedplate.compute.scheduler.placement.request import Node
from bedplate.compute.simulate.traces.trace import Outcome, Trace, TraceBuilder
from bedplate.core.errors import UsageError
from bedplate.core.settings import Range, read_settings, settings
from bedplate.core.units import Count, Duration, Fraction

_DAY_S = 86_400.0
_WEEKEND = (5, 6)
_HOURLY = 24
_SHARES_MILLI = (125, 250, 500, 750)
_USERS_PER_TENANT = 20
_SIZE_DECAY = 0.45
"""Each doubling of the size makes a gang this much rarer."""
_MEMORY_PER_CORE_BYTES = 4 << 30


@settings
class GeneratedTrace:
    """A trace in words: `jobs=1e6,load=0.9,tenants=12,seed=3`."""

    jobs: Annotated[Count, Range(1, 20_000_000)] = 10_000
    """Number of jobs."""
    load: Annotated[float, Range(0.01, 10)] = 0.9
    """Device time that is asked for, as a multiple of what the cluster has while jobs arrive."""
    median: Annotated[Duration, Range(1)] = 600.0
    """Median duration of a job."""
    spread: Annotated[float, Range(0, 4)] = 1.8
    """Standard deviation of the logarithm of durations; 0 makes all alike."""
    longest: Annotated[Duration, Range(1)] = 30 * _DAY_S
    """Durations are cut off here."""
    single: Fraction = 0.65
    """Fraction of jobs with one device."""
    largest: Annotated[Count, Range(1, 65_536)] = 64
    """Most devices that a job asks for."""
    shares: Fraction = 0.15
    """Fraction of the jobs with one device that take a share of it."""
    cpu_only: Fraction = 0.05
    """Fraction of jobs without a device."""
    cores: Annotated[int, Range(0, 1024)] = 6
    """Cores per device; of a job without one, in all."""
    elastic: Fraction = 0.1
    """Fraction of the gangs of two workers or more that may run with half of them."""
    deadlines: Fraction = 0.1
    """Fraction of jobs that should end within four times their duration."""
    important: Fraction = 0.1
    """Fraction of jobs with priority 10; the rest has 0."""
    failed: Fraction = 0.2
    """Fraction of jobs that fail, at any point of their duration."""
    cancelled: Fraction = 0.1
    """Fraction of jobs that their users cancel, at any point of their duration."""
    estimated: Fraction = 0.5
    """Fraction of jobs whose users say how long they will run: one to four times as long as they do."""
    diurnal: Fraction = 0.5
    """How much fewer jobs arrive at night than on average."""
    weekend: Fraction = 0.4
    """How much fewer jobs arrive on Saturday and Sunday."""
    tenants: Annotated[int, Range(1, 10_000)] = 8
    """Number of tenants."""
    bound: Fraction = 0.0
    """Fraction of jobs that accept one model only."""
    seed: Annotated[int, Range(0)] = 0
    """Of everything that is drawn."""

    def __post_init__(self) -> None:
        if self.failed + self.cancelled > 1:
            raise UsageError("more jobs fail than there are", seen=self.failed + self.cancelled, expected="at most 1 together")


def read_words(words: str) -> GeneratedTrace:
    """`jobs=1e6,load=0.9` as settings; empty text is the defaults.

    Raises:
        UsageError, ConfigurationError: No such word, or a value that it cannot have.
    """
    given: dict[str, object] = {}
    for part in filter(None, words.split(",")):
        name, equals, value = part.partition("=")
        if not equals or name.strip() in given:
            raise UsageError("the words of the trace cannot be read", seen=part, expected="NAME=VALUE, each name once")
        given[name.strip()] = _plain(value.strip())
    return read_settings(GeneratedTrace, given)


def generate(wanted: GeneratedTrace, nodes: Sequence[Node]) -> Trace:
    """A trace for a cluster; the same words, seed and cluster give the same trace.

    Raises:
        UsageError: The cluster has no devices.
    """
    num_devices = sum(node.num_devices for node in nodes)
    if not num_devices:
        raise UsageError("the cluster has no devices to load", seen=f"{len(nodes)} nodes", expected="nodes with devices")
    generator = np.random.default_rng(wanted.seed)
    shapes = _Shapes(wanted, nodes, generator)
    full_J = np.minimum(wanted.median * generator.lognormal(0.0, wanted.spread, wanted.jobs), wanted.longest)
    outcome_J = generator.choice(3, wanted.jobs, p=_outcome_shares(wanted))
    duration_J = np.where(outcome_J == 0, full_J, full_J * generator.random(wanted.jobs))
    duration_J = np.maximum(np.round(duration_J, 3), 1.0)
    asked_device_s = float((duration_J * shapes.device_milli_J).sum()) / WHOLE
    span_s = max(asked_device_s / (wanted.load * num_devices), 1.0)
    submitted_J = _arrivals(wanted, span_s, generator)
    return _built(wanted, shapes, submitted_J, duration_J, outcome_J, generator)


class _Shapes:
    """What each job asks for."""

    def __init__(self, wanted: GeneratedTrace, nodes: Sequence[Node], generator: np.random.Generator) -> None:
        count = wanted.jobs
        self.per_node = max(node.num_devices for node in nodes)
        models = sorted({node.model for node in nodes if node.num_devices})
        weights = [sum(node.num_devices for node in nodes if node.model == model) for model in models]
        self.models = models
        self.size_J = _sizes(wanted, generator)
        kind_J = generator.random(count)
        self.size_J[kind_J < wanted.cpu_only] = 0
        is_share_J = (self.size_J == 1) & (generator.random(count) < wanted.shares)
        self.share_J = np.where(is_share_J, generator.choice(_SHARES_MILLI, count), WHOLE)
        self.model_J = np.where(
            generator.random(count) < wanted.bound,
            generator.choice(len(models), count, p=np.array(weights) / sum(weights)),
            -1,
        )
        self.is_elastic_J = (self.size_J > self.per_node) & (generator.random(count) < wanted.elastic)
        self.device_milli_J: Ints = self.size_J * self.share_J

    def request(self, at: int, cores: int) -> dict[str, Any]:
        """Fields of the request of job `at`."""
        size = int(self.size_J[at])
        devices = min(size, self.per_node)
        workers = max(size // max(devices, 1), 1)
        cpu_milli = cores * WHOLE * int(self.share_J[at]) // WHOLE * max(devices, 1)
        model = int(self.model_J[at])
        return {
            "workers": workers,
            "min_workers": workers // 2 if self.is_elastic_J[at] and workers > 1 else None,
            "devices": devices,
            "share_milli": int(self.share_J[at]),
            "accelerators": (self.models[model],) if model >= 0 and devices else (),
            "cpu_milli": cpu_milli,
            "memory_bytes": cpu_milli * _MEMORY_PER_CORE_BYTES // WHOLE,
        }


def _sizes(wanted: GeneratedTrace, generator: np.random.Generator) -> Ints:
    powers = np.arange(1, max(int(np.log2(wanted.largest)), 0) + 1)
    if not len(powers):
        return np.ones(wanted.jobs, np.int64)
    rarer = _SIZE_DECAY**powers
    shares = np.concatenate([[wanted.single], (1 - wanted.single) * rarer / rarer.sum()])
    return 1 << generator.choice(len(shares), wanted.jobs, p=shares)


def _outcome_shares(wanted: GeneratedTrace) -> tuple[float, float, float]:
    return 1 - wanted.failed - wanted.cancelled, wanted.failed, wanted.cancelled


def _arrivals(wanted: GeneratedTrace, span_s: float, generator: np.random.Generator) -> Floats:
    """Sorted times: the inverse of the cumulated hourly intensity at sorted uniform points, whose last is `span_s`."""
    hours = np.arange(int(np.ceil(span_s / (_DAY_S / _HOURLY))) + 1)
    of_day = 1 - wanted.diurnal * np.cos(2 * np.pi * (hours % _HOURLY) / _HOURLY)
    is_weekend = np.isin(hours // _HOURLY % 7, _WEEKEND)
    intensity = np.maximum(of_day * np.where(is_weekend, 1 - wanted.weekend, 1.0), 1e-6)
    cumulated = np.concatenate([[0.0], np.cumsum(intensity)])
    edges_s = np.arange(len(cumulated)) * (_DAY_S / _HOURLY)
    total = np.interp(span_s, edges_s, cumulated)
    times_J: Floats = np.round(np.interp(np.sort(generator.random(wanted.jobs)) * total, cumulated, edges_s), 3)
    return times_J


def _built(
    wanted: GeneratedTrace,
    shapes: _Shapes,
    submitted_J: Floats,
    duration_J: Floats,
    outcome_J: Ints,
    generator: np.random.Generator,
) -> Trace:
    count = wanted.jobs
    source = f"generated: {wanted.jobs} jobs, load {wanted.load:g}, seed {wanted.seed}"
    builder = TraceBuilder(source, "generated")
    tenant_J, user_J = _zipf(wanted.tenants, count, generator).tolist(), _zipf(_USERS_PER_TENANT, count, generator).tolist()
    is_important_J = (generator.random(count) < wanted.important).tolist()
    has_deadline_J = (generator.random(count) < wanted.deadlines).tolist()
    estimate_J = np.where(generator.random(count) < wanted.estimated, 1 + 3 * generator.random(count), 0).tolist()
    outcomes = tuple(Outcome)
    for at, (submitted_s, duration_s, outcome) in enumerate(
        zip(submitted_J.tolist(), duration_J.tolist(), outcome_J.tolist(), strict=True)
    ):
        tenant = f"tenant-{tenant_J[at]}"
        job = Job(
            id=f"job-{at}",
            name=f"job-{at}",
            tenant=tenant,
            user=f"{tenant}-user-{user_J[at]}",
            request=builder.request(source, **shapes.request(at, wanted.cores)),
            submitted_s=submitted_s,
            priority=10 if is_important_J[at] else 0,
            expected_s=duration_s * estimate_J[at] if estimate_J[at] else None,
            deadline_s=submitted_s + 4 * duration_s if has_deadline_J[at] else None,
        )
        builder.add(job, duration_s, source, outcomes[outcome])
    return builder.finished()


def _zipf(number: int, count: int, generator: np.random.Generator) -> Ints:
    weights = 1 / np.arange(1, number + 1)
    return generator.choice(number, count, p=weights / weights.sum())


def _plain(value: str) -> object:
    for number in (int, float):
        try:
            return number(value)
        except ValueError:
            continue
    return value
