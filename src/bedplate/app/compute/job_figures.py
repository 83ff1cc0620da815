"""The report of a simulation of jobs: a table of the policies, and what happened over time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from bedplate.compute.simulate.replay.result import Curve, JobGroup, PolicyResult
from bedplate.compute.simulate.replay.simulate import JobsResult
from bedplate.core.figures import Cell, Figure, FigureKind, ResultTable, Series
from bedplate.core.measurement import Provenance
from bedplate.core.text import AnyText, text
from bedplate.scorecard.report.model import FigurePage

_HOUR_S = 3600.0
_PERCENT = 100.0


def figure_page(result: JobsResult, created_s: float) -> FigurePage:
    """The page; render it with `scorecard.report.page.render_figures`."""
    policies = result.policies
    arrivals_h = result.trace.jobs[-1].job.submitted_s / _HOUR_S
    return FigurePage(
        title=text("Simulation of jobs"),
        details=(
            result.trace.summary,
            text("{nodes} nodes, {devices} devices", nodes=result.num_nodes, devices=result.num_devices),
            *result.trace.notes,
        ),
        created_s=created_s,
        tables=(
            _overview(policies),
            _groups("tenants", text("By tenant"), policies, lambda policy: policy.by_tenant),
            _groups("sizes", text("By number of devices"), policies, lambda policy: policy.by_size),
        ),
        figures=(
            _over_time(
                "allocation", text("Allocated devices"), text("devices"), policies, lambda policy: policy.allocation, arrivals_h
            ),
            _over_time("waiting", text("Waiting jobs"), text("jobs"), policies, lambda policy: policy.waiting, arrivals_h),
            _completion(policies),
            _over_time(
                "fragmentation",
                text("Free devices that the jobs cannot use"),
                text("fraction of the free devices"),
                policies,
                lambda policy: policy.fragmentation,
                arrivals_h,
            ),
            _served(policies),
        ),
    )


def _overview(policies: Sequence[PolicyResult]) -> ResultTable:
    rows: list[tuple[Cell, ...]] = [
        (
            policy.policy,
            policy.all_jobs.num_completed,
            _percent(policy.allocation_frac),
            _percent(policy.fragmentation_frac),
            policy.all_jobs.queueing_s.mean,
            policy.all_jobs.queueing_s.p99,
            policy.all_jobs.completion_s.mean,
            policy.all_jobs.completion_s.p50,
            policy.all_jobs.completion_s.p99,
            policy.all_jobs.slowdown.mean,
            round(policy.jain, 4),
            _percent(policy.worst_served_frac),
            policy.num_preemptions,
            round(policy.lost_device_s / _HOUR_S, 1),
            _percent(policy.deadlines_met_frac),
            round(policy.makespan_s / _HOUR_S, 2),
        )
        for policy in policies
    ]
    columns: tuple[AnyText, ...] = (
        text("policy"),
        text("completed"),
        text("allocated [%]"),
        text("unusable of free [%]"),
        text("queueing, mean [s]"),
        text("queueing, p99 [s]"),
        text("completion, mean [s]"),
        text("completion, p50 [s]"),
        text("completion, p99 [s]"),
        text("slowdown, mean"),
        text("Jain's index"),
        text("worst served [%]"),
        text("preemptions"),
        text("lost device-hours"),
        text("deadlines met [%]"),
        text("makespan [h]"),
    )
    return ResultTable(
        id="policies",
        title=text("Policies"),
        details=text("Allocation is the mean while jobs arrived. Completion counts from submission."),
        columns=columns,
        rows=tuple(rows),
        provenance=Provenance.SIMULATED,
    )


def _groups(
    name: str, title: AnyText, policies: Sequence[PolicyResult], groups: Callable[[PolicyResult], Mapping[str, JobGroup]]
) -> ResultTable:
    rows: list[tuple[Cell, ...]] = [
        (
            policy.policy,
            group_name,
            group.num_jobs,
            group.queueing_s.mean,
            group.queueing_s.p99,
            group.completion_s.mean,
            group.slowdown.mean,
        )
        for policy in policies
        for group_name, group in groups(policy).items()
    ]
    return ResultTable(
        id=name,
        title=title,
        columns=(
            text("policy"),
            text("group"),
            text("jobs"),
            text("queueing, mean [s]"),
            text("queueing, p99 [s]"),
            text("completion, mean [s]"),
            text("slowdown, mean"),
        ),
        rows=tuple(rows),
        provenance=Provenance.SIMULATED,
    )


def _over_time(
    name: str,
    title: AnyText,
    unit: AnyText,
    policies: Sequence[PolicyResult],
    curve_of: Callable[[PolicyResult], Curve],
    arrivals_h: float,
) -> Figure:
    return Figure(
        id=name,
        title=title,
        kind=FigureKind.LINE,
        x_label=text("time [h]"),
        y_label=unit,
        series=tuple(
            Series(name=policy.policy, x=tuple(at / _HOUR_S for at in curve_of(policy).at_s), y=curve_of(policy).value)
            for policy in policies
        ),
        provenance=Provenance.SIMULATED,
        marks=((arrivals_h, text("last arrival")),),
    )


def _completion(policies: Sequence[PolicyResult]) -> Figure:
    series = []
    for policy in policies:
        quantiles = policy.completion_quantiles_s
        last = max(len(quantiles) - 1, 1)
        series.append(Series(name=policy.policy, x=quantiles, y=tuple(at / last for at in range(len(quantiles)))))
    return Figure(
        id="completion",
        title=text("Completion times"),
        kind=FigureKind.LINE,
        x_label=text("completion time [s]"),
        y_label=text("fraction of jobs"),
        series=tuple(series),
        provenance=Provenance.SIMULATED,
        is_x_logarithmic=True,
    )


def _served(policies: Sequence[PolicyResult]) -> Figure:
    return Figure(
        id="served",
        title=text("What tenants were given of what they were entitled to"),
        details=text("Dominant resource fairness: 1 is a tenant's share of what was asked for at each moment."),
        kind=FigureKind.BAR,
        x_label=text("tenant"),
        y_label=text("held / entitled"),
        series=tuple(
            Series(name=policy.policy, x=tuple(policy.served_frac), y=tuple(policy.served_frac.values())) for policy in policies
        ),
        provenance=Provenance.SIMULATED,
    )


def _percent(fraction: float | None) -> float | None:
    return None if fraction is None else round(_PERCENT * fraction, 2)
