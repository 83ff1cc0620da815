"""A task that measures the device it was placed on: one for each device, started by `doctor`."""

from __future__ import annotations

from bedplate.core.json import JsonObject
from bedplate.core.messages import decode, encode
from bedplate.core.task import TaskContext, worker_errors
from bedplate.operations.preflight.measure import MeasureSpec, measure_rates
from bedplate.operations.preflight.products import has_torch
from bedplate.workers.device import backend_of, torch_device_of


@worker_errors
def main(context: TaskContext) -> JsonObject:
    """Rates of the task's cores, an encoded `RateReport`; spec: an encoded `MeasureSpec`."""
    if has_torch():
        import torch

        torch.set_num_threads(max(1, len(context.cores)))
    spec = decode(MeasureSpec, context.spec)
    device = str(torch_device_of(context)) if has_torch() else "cpu"
    able = context.runtime.precisions or backend_of(context).precisions
    report = measure_rates(
        context.cores, spec.budget_s, num_tries=spec.num_tries, device=device, able=able, beat=context.heartbeat
    )
    return encode(report)
