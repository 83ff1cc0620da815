"""A worker's device: found through the backend that the engine named, so that no worker names a kind of device itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bedplate.compute.backends.registry import backend
from bedplate.core.backends import Backend
from bedplate.core.errors import UnavailableError
from bedplate.core.task import TaskContext
from bedplate.engines.process_group import load_plugin

if TYPE_CHECKING:
    import torch


def backend_of(context: TaskContext) -> Backend:
    """How the task's devices are programmed.

    Raises:
        UnavailableError: Nobody has written that down.
        UsageError: The node names a backend that this machine does not know.
    """
    if not context.runtime.backend:
        raise UnavailableError(
            "there is no backend for the devices of this task",
            seen=", ".join(context.devices),
            expected="a record of how they are programmed",
            next_step="write one and name it in BEDPLATE_BACKENDS, or ask for processors",
        )
    return backend(context.runtime.backend)


def torch_device_of(context: TaskContext) -> torch.device:
    """The torch device that the task computes on: the first one that it sees.

    Raises:
        UnavailableError: The vendor's plugin does not load, or torch finds no such device.
    """
    import torch

    found = backend_of(context)
    load_plugin(found)
    if found.torch_device == "cpu":
        return torch.device("cpu")
    module = getattr(torch, found.torch_device, None)
    if module is None or not module.is_available():
        raise UnavailableError(
            f"torch finds no device of '{found.name}'",
            seen=f"torch {torch.__version__}",
            expected=f"a torch that has '{found.torch_device}', and the vendor's driver",
            next_step=f"run in an image that has them: {found.image}" if found.image else "install the vendor's torch",
        )
    device = torch.device(found.torch_device, 0)
    module.set_device(device)
    return device
