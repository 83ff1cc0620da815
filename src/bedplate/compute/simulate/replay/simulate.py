"""Answers a question about jobs: reads or makes the trace and the cluster, then replays the trace under each policy."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bedplate.compute.scheduler.placement.request import Node as PlacementNode
from bedplate.compute.scheduler.quota.tenants import DeviceType, Quota
from bedplate.compute.scheduler.state import SchedulerState
from bedplate.compute.simulate.openb import read_nodes
from bedplate.compute.simulate.replay.cluster import machines
from bedplate.compute.simulate.replay.loop import Replay
from bedplate.compute.simulate.replay.metrics import Metrics
from bedplate.compute.simulate.replay.policies import scheduler_settings
from bedplate.compute.simulate.replay.question import Estimates, JobsQuestion
from bedplate.compute.simulate.replay.result import PolicyResult
from bedplate.compute.simulate.replay.summary import summarise
from bedplate.compute.simulate.replay.timeline import Timeline, check_size, write_timelines
from bedplate.compute.simulate.traces.generate import generate, read_words
from bedplate.compute.simulate.traces.reading import read_trace
from bedplate.compute.simulate.traces.shorthand import read_cluster
from bedplate.compute.simulate.traces.trace import Trace, TracedJob
from bedplate.compute.simulate.traces.writing import write_own
from bedplate.core.devices import Node
from bedplate.core.json import JsonObject
from bedplate.core.measurement import Provenance
from bedplate.core.reporter import Reporter


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsResult:
    """Policies side by side, over the same jobs and failures."""

    trace: Trace
    num_nodes: int
    num_devices: int
    policies: tuple[PolicyResult, ...]

    def as_json(self) -> JsonObject:
        """The document of `-o json`."""
        trace = self.trace
        return {
            "trace": {
                "source": trace.source,
                "format": trace.format,
                "jobs": len(trace.jobs),
                "left_out": {reason.value: count for reason, count in trace.left_out.items()},
                "notes": list(trace.notes),
                "device_s": sum(traced.device_s for traced in trace.jobs),
            },
            "nodes": self.num_nodes,
            "devices": self.num_devices,
            "policies": [policy.as_json() for policy in self.policies],
            "provenance": Provenance.SIMULATED.value,
        }


def simulate_jobs(question: JobsQuestion, reporter: Reporter) -> JobsResult:
    """Replay the jobs under each policy, one after the other.

    Raises:
        NotFoundError, ConfigurationError: A file is missing or cannot be read, with its line.
        CheckFailedError: More of the trace is left out than the question allows.
        UsageError: A policy that cannot be loaded, words that cannot be read, a run too large for a timeline.
    """
    placement_nodes = read_cluster(question.cluster) if question.cluster is not None else read_nodes(Path(question.nodes or ""))
    trace = trace_of(question, placement_nodes, reporter)
    for remark in _unused_names(question, trace, placement_nodes):
        reporter.say(f"note: {remark}")
    nodes = machines(placement_nodes, question.leaf)
    if question.save_jobs is not None:
        write_own(trace, Path(question.save_jobs))
    if question.trace is not None:
        check_size(trace, len(question.policy))
    timelines = [Timeline(policy, at, nodes) for at, policy in enumerate(question.policy)] if question.trace else []
    results = []
    for at, policy in enumerate(question.policy):
        reporter.say(f"policy {policy}")
        results.append(_replay(question, policy, trace, nodes, timelines[at : at + 1], reporter))
    if question.trace is not None:
        write_timelines(Path(question.trace), timelines)
    return JobsResult(
        trace=trace,
        num_nodes=len(nodes),
        num_devices=sum(node.num_devices for node in placement_nodes),
        policies=tuple(results),
    )


def _unused_names(question: JobsQuestion, trace: Trace, nodes: Sequence[PlacementNode]) -> Iterator[str]:
    """Names in the question that nothing here has: most likely misspelt."""
    models = {model for node in nodes for model in node.models}
    wanted = {model for traced in trace.jobs for model in traced.job.request.accelerators}
    tenants = {traced.job.tenant for traced in trace.jobs}
    above = {tenant[: at.start()] for tenant in tenants for at in re.finditer("/", tenant)}
    for what, given, known in (
        ("speeds", question.speed_by_model(), models | wanted),
        ("device-memory", question.memory_by_model(), models | wanted),
        ("weights", question.weight_by_tenant(), tenants | above),
    ):
        if unknown := sorted(set(given) - known):
            yield f"no node and no job has {', '.join(unknown)}, which {what} names; there are {', '.join(sorted(known)[:8])}"


def trace_of(question: JobsQuestion, nodes: Sequence[PlacementNode], reporter: Reporter) -> Trace:
    """The jobs that a question is about; errors as of `simulate_jobs`."""
    if question.jobs is not None:
        trace = read_trace(Path(question.jobs), question.format)
    else:
        trace = generate(read_words(question.generate or ""), nodes)
    reporter.say(trace.summary)
    for remark in trace.notes:
        reporter.say(f"note: {remark}")
    trace.check_left_out(question.most_left_out)
    if question.estimates is Estimates.TRACE and not question.speeds and question.arrival_rate == 1:
        return trace
    speeds = question.speed_by_model()
    return replace(trace, jobs=tuple(_as_asked(traced, question, speeds) for traced in trace.jobs))


def _as_asked(traced: TracedJob, question: JobsQuestion, speeds: Mapping[str, float]) -> TracedJob:
    """At the pace, and with the estimate, that the question wants.

    The scheduler counts durations on a device of speed 1.0, traces on the job's first model.
    """
    job = traced.job
    accepted = job.request.accelerators
    told_s = {Estimates.TRACE: job.expected_s, Estimates.EXACT: traced.duration_s, Estimates.NONE: None}[question.estimates]
    submitted_s = job.submitted_s / question.arrival_rate
    asked = replace(
        job,
        submitted_s=submitted_s,
        deadline_s=None if job.deadline_s is None else submitted_s + job.deadline_s - job.submitted_s,
        expected_s=None if told_s is None else told_s * (speeds.get(accepted[0], 1.0) if accepted else 1.0),
    )
    return replace(traced, job=asked)


def _replay(
    question: JobsQuestion,
    policy: str,
    trace: Trace,
    nodes: Sequence[Node],
    timelines: Sequence[Timeline],
    reporter: Reporter,
) -> PolicyResult:
    weights = question.weight_by_tenant()
    state = SchedulerState(
        nodes=nodes,
        device_types=device_types(question, trace),
        quotas=[Quota(tenant=tenant, weight=weight) for tenant, weight in weights.items()],
        settings=scheduler_settings(policy, question.scheduler),
    )
    metrics = Metrics(trace, nodes, state, weights)
    replay = Replay(trace, nodes, state, question.conditions(), [metrics, *timelines])
    begin = time.perf_counter()
    makespan_s = replay.run(reporter)
    return summarise(policy, trace, metrics, makespan_s, replay.num_decisions, time.perf_counter() - begin)


def device_types(question: JobsQuestion, trace: Trace) -> list[DeviceType]:
    """A model is as fast for one kind of job as for another: traces do not say."""
    speeds, memory = question.speed_by_model(), question.memory_by_model()
    kinds = sorted({traced.job.kind for traced in trace.jobs})
    return [
        DeviceType(
            model=model,
            memory_bytes=memory.get(model, 0),
            speed=dict.fromkeys(kinds, speeds.get(model, 1.0)),
        )
        for model in sorted({*speeds, *memory})
    ]
