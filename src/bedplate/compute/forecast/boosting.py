"""Gradient-boosted quantiles of the change from now to the target, by LightGBM.

One model a lead and a quantile, over all series at once: those that are forecast together, and drawn ones (`prior`). Every row
counts the same, so the drawn ones matter while there is little of the real. Targets are changes from now in units of the
series' own scale: a model that has learned nothing says persistence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from bedplate.compute.forecast.features import features, scale
from bedplate.compute.forecast.prior import drawn_series
from bedplate.compute.forecast.series import DemandSeries, Floats, Ints, carried_forward

LEVELS = (0.1, 0.5, 0.9)
_NUM_DRAWN = 96
_DRAWN_ROWS = 24_000
_MOST_ROWS = 30_000
"""Of the real series; more are thinned out evenly."""
_MOST_CHANGE = 20.0
"""In units of the scale."""
_PARAMETERS: dict[str, Any] = {
    "objective": "quantile",
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 200,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "verbosity": -1,
    "seed": 0,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
}
"""One thread: those of LightGBM wait for each other in a loop, and took ten times as long on cores that others use too."""
_ROUNDS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Training rows of one lead: features, and changes in units of the scale."""

    features: Floats
    changes: Floats


class BoostedQuantiles:
    """Fitted models of one lead, one a level."""

    def __init__(self, lead: int, boosters: Sequence[Any]) -> None:
        self._lead, self._boosters = lead, boosters

    def forecast(self, series: DemandSeries, origins: Ints) -> Floats:
        """Quantiles at `LEVELS`, in order, in the unit of the series; shape (3, num_origins)."""
        values, latest = carried_forward(series.values), carried_forward(series.latest)
        row = features(values, latest, origins, self._lead, series.steps_per_day, series.start_s)
        changes = np.stack([booster.predict(row) for booster in self._boosters])
        return values[origins] + np.sort(changes, axis=0) * scale(values, self._lead)[origins]


def fit(series: Sequence[DemandSeries], num_known: int, lead: int) -> BoostedQuantiles:
    """Fit on what was known at the end of the first `num_known` steps of each series, and on drawn ones.

    Cost: about half a second a level for 30,000 rows on one core.
    """
    import lightgbm

    drawn = _drawn_rows(lead, series[0].steps_per_day)
    own = [_rows(item, num_known, lead, len(series)) for item in series]
    data = np.concatenate([drawn.features, *(rows.features for rows in own)])
    label = np.concatenate([drawn.changes, *(rows.changes for rows in own)])
    dataset = lightgbm.Dataset(data, label, params=_PARAMETERS, free_raw_data=False)
    return BoostedQuantiles(
        lead, [lightgbm.train(_PARAMETERS | {"alpha": level}, dataset, num_boost_round=_ROUNDS) for level in LEVELS]
    )


def _rows(series: DemandSeries, num_known: int, lead: int, num_series: int) -> Rows:
    """Rows whose target is known; origins without a day of history, and targets that are gaps, are left out."""
    first = min(series.steps_per_day, num_known // 4)
    apart = max(1, num_known * num_series // _MOST_ROWS)
    origins = np.arange(first, max(first, num_known - lead), apart)
    origins = origins[~np.isnan(series.values[origins + lead])]
    values = carried_forward(series.values[:num_known])
    latest = carried_forward(series.latest[:num_known])
    rows = features(values, latest, origins, lead, series.steps_per_day, series.start_s)
    return Rows(features=rows, changes=_changes(values, origins, lead))


def _changes(values: Floats, origins: Ints, lead: int) -> Floats:
    """Targets; cut where the scale, which is that of the past, says nothing about a change."""
    return np.clip((values[origins + lead] - values[origins]) / scale(values, lead)[origins], -_MOST_CHANGE, _MOST_CHANGE)


@cache
def _drawn_rows(lead: int, steps_per_day: int) -> Rows:
    rows, changes = [], []
    for values in drawn_series(_NUM_DRAWN, steps_per_day):
        first = 7 * steps_per_day
        origins = np.arange(first, len(values) - lead, max(1, (len(values) - first) * _NUM_DRAWN // _DRAWN_ROWS))
        rows.append(features(values, values, origins, lead, steps_per_day, None))
        changes.append(_changes(values, origins, lead))
    return Rows(features=np.concatenate(rows), changes=np.concatenate(changes))
