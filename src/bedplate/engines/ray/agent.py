"""One actor a node: the local engine of that machine, reachable through Ray.

Ray decides which node carries which task; the agent pins, starts, watches and ends the process there, exactly as on a single
machine: same cores, limits, logs, causes, and no orphans. When the driver or the raylet goes, Ray ends the agent, and the
keepers see that and end the tasks.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from bedplate.core.devices import Node
from bedplate.core.workload import Gang, TaskEvent
from bedplate.engines.base import GangHandle
from bedplate.engines.local.engine import GangPart, LocalEngine
from bedplate.engines.local.launch import hold_rendezvous
from bedplate.engines.local.machine import usable_cores


class NodeAgent:
    """The part of a Ray engine that lives on one node. Its methods run in threads of the actor.

    Args:
        root: Directory on that node for logs and scratch.
        num_slots: Cores that Ray counts on the node; core ids are handed out in turn, again from the first where
            Ray counts more than there are.
        host: Address of the node under which the others reach it.
    """

    def __init__(self, root: str, num_slots: int, host: str) -> None:
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
        usable = usable_cores()
        self._engine = LocalEngine(Path(root), cores=[usable[slot % len(usable)] for slot in range(num_slots)])
        self._host = host
        self._held: dict[str, socket.socket] = {}

    def describe(self) -> Node:
        """The node as its machine sees itself."""
        return self._engine.resources()[0]

    def hold_rendezvous(self) -> str:
        """Reserve a port for a gang whose rank 0 runs here; `host:port`."""
        holder = hold_rendezvous(self._host)
        address = "{}:{}".format(*holder.getsockname())
        self._held[address] = holder
        return address

    def release_rendezvous(self, address: str) -> None:
        """Give a port back; unknown ones are ignored."""
        if holder := self._held.pop(address, None):
            holder.close()

    def submit(self, gang: Gang, part: GangPart) -> tuple[GangHandle, tuple[tuple[int, ...], ...]]:
        """Start the part of a gang that runs here; the handle, and the cores of each task."""
        handle = self._engine.submit(gang, part)
        return handle, tuple(task.cores for task in self._engine.status(handle).tasks)

    def events(self, handle: GangHandle, after: int, wait_s: float) -> tuple[tuple[TaskEvent, ...], tuple[float | None, ...]]:
        """Events of the part from `after` on, and when each of its tasks was last heard."""
        events = self._engine.events(handle, after, wait_s)
        return events, tuple(task.last_heard_s for task in self._engine.status(handle).tasks)

    def cancel(self, handle: GangHandle, grace_s: float) -> None:
        """End the part."""
        self._engine.cancel(handle, grace_s)

    def kill(self, handle: GangHandle, index: int, signal: int) -> None:
        """Send a signal to one task of the part."""
        self._engine.kill(handle, index, signal)

    def logs(self, handle: GangHandle, index: int) -> str:
        """Log of one task of the part."""
        return self._engine.logs(handle, index)

    def exclude(self, cores: tuple[int, ...], reason: str) -> None:
        """Place nothing on these cores any more."""
        self._engine.exclude(self.describe().id, cores, reason)

    def close(self) -> None:
        """End everything here."""
        self._engine.close()
        for address in list(self._held):
            self.release_rendezvous(address)
