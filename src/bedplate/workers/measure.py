"""A task that measures the device it was placed on: one for each device, started by `doctor`."""

from __future__ import annotations

from bedplate.core.json import JsonObject
from bedplate.core.task import TaskContext
from bedplate.operations.preflight.measure import measure_rates
from bedplate.operations.preflight.products import has_torch


def main(context: TaskContext) -> JsonObject:
    """Rates of the task's cores, as `RateReport.as_json`; spec: `budget_s`."""
    if has_torch():
        import torch

        torch.set_num_threads(max(1, len(context.cores)))
    budget_s = float(context.spec["budget_s"])  # type: ignore[arg-type]
    return measure_rates(context.cores, budget_s, num_tries=3, beat=context.heartbeat).as_json()
