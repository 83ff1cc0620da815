"""A task that meets its gang over the collectives of its device."""

from bedplate.core.json import JsonObject
from bedplate.core.task import TaskContext, worker_errors
from bedplate.engines.process_group import joined
from bedplate.workers.device import backend_of, torch_device_of


@worker_errors
def meet(context: TaskContext) -> JsonObject:
    """Sum rank + 1 over the gang."""
    import torch
    import torch.distributed as distributed

    backend = backend_of(context)
    values = torch.tensor([context.rank + 1.0], device=torch_device_of(context))
    with joined(context, backend, timeout_s=20.0):
        distributed.all_reduce(values)
        return {"sum": float(values), "library": backend.process_group}
