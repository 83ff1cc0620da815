"""A task that holds one slot while it is screened, and carries out the coordinator's orders: measure itself, meet a partner."""

from __future__ import annotations

from bedplate.core.json import JsonObject
from bedplate.core.messages import decode
from bedplate.core.task import TaskContext
from bedplate.operations.preflight.coordinator import follow_orders
from bedplate.operations.preflight.measure import measure_rates
from bedplate.operations.preflight.messages import (
    Answer,
    MeasureOrder,
    MeetOrder,
    OpenStoreOrder,
    Order,
    PairAnswer,
    RatesAnswer,
    ScreenSpec,
    StoreAnswer,
)
from bedplate.operations.preflight.pairs import PairMember
from bedplate.operations.preflight.products import has_torch
from bedplate.workers.device import backend_of, torch_device_of


def main(context: TaskContext) -> JsonObject:
    """Carry out orders until the coordinator disconnects; spec: `ScreenSpec`."""
    if has_torch():
        import torch.distributed  # before the first heartbeat: an import may take longer than the silence that is allowed

        torch.set_num_threads(max(1, len(context.cores)))
    backend = backend_of(context)
    device = str(torch_device_of(context)) if has_torch() else "cpu"
    member = PairMember(context.heartbeat, backend, device)

    def carry_out(order: Order) -> Answer:
        match order:
            case MeasureOrder():
                rates = measure_rates(
                    context.cores,
                    order.budget_s,
                    precisions=order.precisions,
                    largest_buffer_bytes=order.largest_buffer_bytes,
                    device=device,
                    able=context.runtime.precisions or backend.precisions,
                    beat=context.heartbeat,
                )
                return RatesAnswer(rates=rates)
            case OpenStoreOrder(timeout_s=timeout_s):
                return StoreAnswer(port=member.open_store(timeout_s))
            case MeetOrder():
                result = member.meet(
                    place=order.place,
                    host=order.host,
                    port=order.port,
                    num_bytes=order.num_bytes,
                    timeout_s=order.timeout_s,
                )
                return PairAnswer(result=result)

    spec = decode(ScreenSpec, context.spec)
    return {"orders": follow_orders(spec.endpoint, spec.slots[context.rank], carry_out, context.heartbeat)}
