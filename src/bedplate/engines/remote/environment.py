"""Which of the driver's environment variables follow a gang to other machines.

On one machine a task inherits everything. Across machines most of it would be wrong (paths, homes) or secret, so a node's own
environment holds, with `Task.environment` over it. What tunes the libraries by which ranks talk is the exception: it belongs to
the job, is the same on every rank or useless, and is set where the job is started (`NCCL_DEBUG=INFO bedplate run …`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from bedplate.core.workload import Gang

PREFIXES = ("FI_", "GLOO_", "HCCL_", "NCCL_", "RCCL_", "TORCH_DISTRIBUTED_", "TORCH_NCCL_", "UCX_")
"""libfabric, gloo, HCCL, NCCL, RCCL, torch.distributed, UCX."""


def with_driver_environment(gang: Gang, environment: Mapping[str, str] = os.environ) -> Gang:
    """The gang with the driver's settings of communication libraries, where its tasks do not set them themselves."""
    followed = {name: value for name, value in environment.items() if name.startswith(PREFIXES)}
    tasks = [replace(task, environment={**followed, **task.environment}) for task in gang.tasks]
    return replace(gang, tasks=tuple(tasks))
