"""The torch plugin of emulated devices: registers their collectives, `altccl`, as `torch_npu` registers `hccl`.

The library is gloo's code in a process group that we make, over the interface that `ALTCCL_SOCKET_IFNAME` names.
Its point is the way by which it comes in: a program that names a backend, or forgets to import the plugin, does not find it.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import torch.distributed as distributed

NAME = "altccl"
INTERFACE_VARIABLE = "ALTCCL_SOCKET_IFNAME"
"""The network interface that it uses; gloo's own choice where it is not set."""


def _make(store: Any, rank: int, size: int, timeout: timedelta) -> Any:
    gloo: Any = distributed.ProcessGroupGloo
    interface = os.environ.get(INTERFACE_VARIABLE, "")
    device = gloo.create_device(interface=interface) if interface else gloo.create_default_device()
    options = gloo._Options()
    options._timeout, options._devices = timeout, [device]
    return gloo(store, rank, size, options)


if NAME not in distributed.Backend.backend_list:
    distributed.Backend.register_backend(NAME, _make, devices=["cpu"])
