"""A task that holds one slot while it is screened, and does what the desk orders: measure itself, meet a partner."""

from __future__ import annotations

from bedplate.core.json import JsonObject
from bedplate.core.task import TaskContext
from bedplate.operations.preflight.measure import measure_rates
from bedplate.operations.preflight.orders import follow_orders
from bedplate.operations.preflight.pairs import PairMember
from bedplate.operations.preflight.products import has_torch


def main(context: TaskContext) -> JsonObject:
    """Follow orders until the desk hangs up; spec: `contact`, as `OrderDesk.contact` gives it."""
    if has_torch():
        import torch.distributed  # before the first heartbeat: an import may take longer than the silence that is allowed

        torch.set_num_threads(max(1, len(context.cores)))
    member = PairMember(context.heartbeat)

    def measure(order: JsonObject) -> JsonObject:
        return measure_rates(
            context.cores,
            float(order["budget_s"]),  # type: ignore[arg-type]
            precisions=tuple(order["precisions"]),  # type: ignore[arg-type]
            largest_buffer_bytes=int(order["largest_buffer_bytes"]),  # type: ignore[arg-type]
            beat=context.heartbeat,
        ).as_json()

    def open_store(order: JsonObject) -> JsonObject:
        return {"port": member.open_store(float(order["timeout_s"]))}  # type: ignore[arg-type]

    def meet(order: JsonObject) -> JsonObject:
        return member.meet(
            place=int(order["place"]),  # type: ignore[arg-type]
            host=str(order["host"]),
            port=int(order["port"]),  # type: ignore[arg-type]
            num_bytes=int(order["num_bytes"]),  # type: ignore[arg-type]
            timeout_s=float(order["timeout_s"]),  # type: ignore[arg-type]
        ).as_json()

    contact = context.spec["contact"]
    assert isinstance(contact, dict)
    handlers = {"measure": measure, "pair.open": open_store, "pair.meet": meet}
    return {"orders": follow_orders(contact, context.rank, handlers, context.heartbeat)}
