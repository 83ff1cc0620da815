"""A forecast judged on the last days of a series, of which it knew nothing before their time.

Each step of the test is a target once for each horizon, forecast from the step that lies the horizon before it. Ours and the
naive forecasts meet the same targets. Members are refitted, weighted and chosen while the test goes on, as they would be live.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bedplate.compute.forecast.measures import Scale, coverage, in_sample_scale, mean_error, pinball
from bedplate.compute.forecast.naive import NAIVES
from bedplate.compute.forecast.selection import Choice, Shipped, ship
from bedplate.compute.forecast.series import DAY_S, DemandSeries, Floats
from bedplate.compute.forecast.table import MemberTable, tables
from bedplate.core.errors import UsageError
from bedplate.core.json import Json, JsonObject, plain
from bedplate.core.reporter import Reporter


@dataclass(frozen=True, slots=True, kw_only=True)
class HorizonResult:
    """How one horizon of one series went."""

    horizon_s: float
    mase: float | None
    pinball: float | None
    coverage_80_frac: float | None
    naive_mase: Mapping[str, float | None]
    """By name; None where the history is too short for it."""
    num_targets: int
    choice: Choice
    """What was chosen at the start of the test."""
    days_naive_frac: float
    """Share of the days of the test on which a naive forecast was shipped."""

    @property
    def gain_frac(self) -> float | None:
        """1 - MASE / that of the naive forecast that turned out best on the test; None where that is 0 or unknown."""
        known = [value for value in self.naive_mase.values() if value is not None]
        return 1 - self.mase / min(known) if self.mase is not None and known and min(known) > 0 else None

    def as_json(self) -> dict[str, Json]:
        """The keys that others script against, and what was chosen."""
        return {
            "horizon_s": self.horizon_s,
            "mase": self.mase,
            "pinball": self.pinball,
            "coverage_80_frac": self.coverage_80_frac,
            "naive_mase": dict(self.naive_mase),
            "gain_frac": self.gain_frac,
            "num_targets": self.num_targets,
            "model": self.choice.model,
            "best_naive": self.choice.naive,
            "backtest_skill_frac": self.choice.skill_frac,
            "interval_from": self.choice.spread,
            "days_naive_frac": self.days_naive_frac,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesResult:
    """How one series went."""

    name: str
    num_steps: int
    step_s: float
    num_gaps: int
    notes: tuple[str, ...]
    scale: Scale
    horizons: tuple[HorizonResult, ...]

    def as_json(self) -> JsonObject:
        """Everything, by horizon."""
        return {
            "name": self.name,
            "num_steps": self.num_steps,
            "step_s": self.step_s,
            "num_gaps": self.num_gaps,
            "notes": list(self.notes),
            "mase_scale": {"kind": self.scale.kind, "value": plain(self.scale.value)},
            "horizons": [item.as_json() for item in self.horizons],
        }


def evaluate(
    series: Sequence[DemandSeries], horizons_s: Sequence[float], test_days: float, reporter: Reporter | None = None
) -> list[SeriesResult]:
    """The result of each series, forecast together.

    Raises:
        UsageError: A horizon that is no multiple of the step, or a series too short for test and horizon.
    """
    leads = [_lead(item_s, series[0].step_s) for item_s in horizons_s]
    for item in series:
        _check_length(item, max(leads), test_days)
    made = tables(series, leads, reporter)
    return [_series_result(item, [made[at, lead] for lead in leads], test_days) for at, item in enumerate(series)]


def _lead(horizon_s: float, step_s: float) -> int:
    lead = round(horizon_s / step_s)
    if lead < 1 or abs(lead * step_s - horizon_s) > 1e-6 * horizon_s:
        raise UsageError(
            "the horizon is no multiple of the step",
            seen=f"{horizon_s:g} s, step {step_s:g} s",
            expected=f"a multiple of {step_s:g} s",
            next_step="choose another --horizon or --every",
        )
    return lead


def _check_length(series: DemandSeries, lead: int, test_days: float) -> None:
    num_test = round(test_days * DAY_S / series.step_s)
    num_train = len(series) - num_test
    if num_test < 1 or num_train < 2 * lead + 8:
        needed_days = (2 * lead + 8) * series.step_s / DAY_S
        raise UsageError(
            f"'{series.name}' is too short for this test and horizon",
            seen=f"{len(series) * series.step_s / DAY_S:.3g} days, {test_days:g} of them test",
            expected=f"at least {needed_days:.3g} days before the test, and a test of one step or more",
            next_step="choose a shorter --test-days or --horizon",
        )


def _series_result(series: DemandSeries, by_lead: Sequence[MemberTable], test_days: float) -> SeriesResult:
    begin = len(series) - round(test_days * DAY_S / series.step_s)
    train = series.values[:begin]
    scale = in_sample_scale(train, series.steps_per_day)
    is_never_negative = bool(np.nanmin(train) >= 0)
    return SeriesResult(
        name=series.name,
        num_steps=len(series),
        step_s=series.step_s,
        num_gaps=int(np.isnan(series.values).sum()),
        notes=series.notes,
        scale=scale,
        horizons=tuple(
            _horizon_result(table, ship(table, series.steps_per_day, is_never_negative=is_never_negative), begin, scale, series)
            for table in by_lead
        ),
    )


def _horizon_result(table: MemberTable, shipped: Shipped, begin: int, scale: Scale, series: DemandSeries) -> HorizonResult:
    origins = slice(begin - table.lead, len(series) - table.lead)
    targets = table.targets[origins]
    centre, low, high = shipped.centre[origins], shipped.low[origins], shipped.high[origins]
    losses = [pinball(end, targets, level) for end, level in ((low, 0.1), (centre, 0.5), (high, 0.9))]
    in_test = [choice for choice in shipped.choices if choice.origin + series.steps_per_day > origins.start]
    covered = coverage(low, high, targets)
    return HorizonResult(
        horizon_s=table.lead * series.step_s,
        mase=scale.of(mean_error(centre, targets)),
        pinball=scale.of(float(np.mean(losses))),
        coverage_80_frac=covered if np.isfinite(covered) else None,
        naive_mase={name: _naive_mase(table.members[name][origins], targets, scale) for name in NAIVES},
        num_targets=int((~np.isnan(targets)).sum()),
        choice=in_test[0],
        days_naive_frac=float(np.mean([choice.model in NAIVES for choice in in_test])),
    )


def _naive_mase(forecast: Floats, targets: Floats, scale: Scale) -> float | None:
    return scale.of(mean_error(forecast, targets))
