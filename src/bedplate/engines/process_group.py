"""Rendezvous of a gang's processes: torch.distributed over the collectives of their devices, at the reserved address.

The one file of `engines` that may import torch, and only when it is called: the engines themselves run without it.
"""

from __future__ import annotations

import importlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from bedplate.core.backends import Backend
from bedplate.core.errors import UnavailableError, UsageError
from bedplate.core.task import TaskContext

INTERFACE_VARIABLE = "GLOO_SOCKET_IFNAME"
"""Network interfaces that gloo uses, separated by commas."""


def load_plugin(backend: Backend) -> None:
    """Teach torch the backend's device and collectives, where it does not know them itself.

    Raises:
        UnavailableError: The vendor's plugin is not installed, or does not load.
    """
    if not backend.torch_plugin:
        return
    try:
        importlib.import_module(backend.torch_plugin)
    except (ImportError, OSError, RuntimeError) as error:
        raise UnavailableError(
            f"torch cannot use devices of '{backend.name}': its plugin does not load",
            seen=f"{backend.torch_plugin}: {error}",
            expected="the vendor's plugin, of the version of this torch, and its libraries",
            next_step=f"run in an image that has it: {backend.image}" if backend.image else f"install {backend.torch_plugin}",
        ) from error


@contextmanager
def joined(context: TaskContext, backend: Backend, timeout_s: float = 120.0) -> Iterator[None]:
    """Inside it, `torch.distributed` connects the gang; a gang of one needs no connection and gets none.

    Tensors in host memory go over gloo, those on devices over the backend's own library. A collective raises RuntimeError as
    soon as a peer's connection breaks, or when nothing comes for `timeout_s`.

    Raises:
        UnavailableError: The others did not come to the rendezvous within `timeout_s`, the interface that a variable names is
            not on this machine, or the backend's plugin does not load.
        UsageError: The gang's devices are of several kinds, which do not compute or talk alike.
    """
    if context.world_size == 1:
        yield
        return
    load_plugin(backend)
    _choose_interface(context.rendezvous, backend)
    import torch.distributed as distributed
    from torch.distributed.rendezvous import rendezvous

    rank, world_size, timeout = context.rank, context.world_size, timedelta(seconds=timeout_s)
    try:
        meeting = rendezvous(f"tcp://{context.rendezvous}", rank, world_size, timeout=timeout)
        store = next(meeting)[0]
        store.set_timeout(timeout)
        _check_alike(context, backend, store)  # before they connect: libraries of two kinds would crash each other
        distributed.init_process_group(backend.process_group, store=store, rank=rank, world_size=world_size, timeout=timeout)
    except (RuntimeError, ValueError) as error:
        raise UnavailableError(
            f"rank {context.rank} could not join its gang",
            seen=str(error).splitlines()[0],
            expected=f"{context.world_size} processes at {context.rendezvous} within {timeout_s:g} s",
            next_step="see the logs of the other ranks: one of them has ended or was never started",
        ) from error
    try:
        yield
    finally:
        distributed.destroy_process_group()


def _check_alike(context: TaskContext, backend: Backend, store: Any) -> None:
    """Every rank says at the rendezvous what its backend is, and hears what all have."""
    store.set(f"bedplate/backend/{context.rank}", backend.name)
    names = [store.get(f"bedplate/backend/{rank}").decode() for rank in range(context.world_size)]
    if len(set(names)) > 1:
        store.set(f"bedplate/heard/{context.rank}", "")
        if context.rank == 0:  # the rendezvous ends with this process: the others must have heard first
            store.wait([f"bedplate/heard/{rank}" for rank in range(context.world_size)])
        raise UsageError(
            "the devices of the gang are of several kinds",
            seen=", ".join(f"rank {rank}: {name}" for rank, name in enumerate(names)),
            expected="devices of one kind, which compute and talk alike",
            next_step="ask for one kind by name ('accelerator'), or for fewer workers",
        )


def _choose_interface(rendezvous: str, backend: Backend) -> None:
    """Loopback for a gang of one machine, unless the user chose; what was chosen for another machine is refused."""
    variables = [INTERFACE_VARIABLE]
    if backend.torch_device == "cpu" and backend.interface_variable not in ("", INTERFACE_VARIABLE):
        variables.append(backend.interface_variable)
    for variable in variables:
        if rendezvous.rpartition(":")[0] in ("127.0.0.1", "localhost"):
            os.environ.setdefault(variable, "lo")
        _check_interfaces(variable)


def _check_interfaces(variable: str) -> None:
    here = [name for _, name in socket.if_nameindex()]
    wanted = [name for name in os.environ.get(variable, "").split(",") if name]
    if missing := [name for name in wanted if name not in here]:
        raise UnavailableError(
            f"{variable} names a network interface that this machine does not have",
            seen=", ".join(missing),
            expected=f"some of {', '.join(here)}",
            next_step=f"unset {variable}, or set it for this machine",
        )
