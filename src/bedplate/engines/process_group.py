"""Rendezvous of a gang's processes: torch.distributed over gloo, at the address that the engine reserved.

The one file of `engines` that may import torch, and only when it is called: the engines themselves run without it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from bedplate.core.errors import UnavailableError
from bedplate.core.task import TaskContext

INTERFACE_VARIABLE = "GLOO_SOCKET_IFNAME"
"""Network interfaces that gloo uses, separated by commas."""


@contextmanager
def joined(context: TaskContext, timeout_s: float = 120.0) -> Iterator[None]:
    """Inside it, `torch.distributed` connects the gang; a gang of one needs no connection and gets none.

    A collective raises RuntimeError as soon as a peer's connection breaks, or when nothing comes for `timeout_s`.

    Raises:
        UnavailableError: The others did not come to the rendezvous within `timeout_s`, or the interface that
            GLOO_SOCKET_IFNAME names is not on this machine.
    """
    if context.world_size == 1:
        yield
        return
    _choose_interface(context.rendezvous)
    import torch.distributed as distributed

    try:
        distributed.init_process_group(
            "gloo",
            init_method=f"tcp://{context.rendezvous}",
            rank=context.rank,
            world_size=context.world_size,
            timeout=timedelta(seconds=timeout_s),
        )
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


def _choose_interface(rendezvous: str) -> None:
    """Loopback for a gang of one machine, unless the user chose; what was chosen for another machine is refused."""
    if rendezvous.rpartition(":")[0] in ("127.0.0.1", "localhost"):
        os.environ.setdefault(INTERFACE_VARIABLE, "lo")
    here = [name for _, name in socket.if_nameindex()]
    wanted = [name for name in os.environ.get(INTERFACE_VARIABLE, "").split(",") if name]
    if missing := [name for name in wanted if name not in here]:
        raise UnavailableError(
            f"{INTERFACE_VARIABLE} names a network interface that this machine does not have",
            seen=", ".join(missing),
            expected=f"some of {', '.join(here)}",
            next_step=f"unset {INTERFACE_VARIABLE}, or set it for this machine",
        )
