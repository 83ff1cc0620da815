"""What one engine of the driver has on a node: a local engine of that machine, and the gangs that have a part here."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bedplate.core.devices import Node
from bedplate.core.errors import NotFoundError, UnavailableError
from bedplate.core.workload import GangHandle, Placement, TaskPlacement
from bedplate.engines.local.engine import LocalEngine
from bedplate.engines.local.environment import import_path
from bedplate.engines.local.rendezvous import hold_rendezvous
from bedplate.engines.remote.answers import Heard
from bedplate.engines.remote.declared import undetected
from bedplate.engines.remote.orders import OpenSession, StartPart


class AgentSession:
    """The session of one engine. Thread-safe.

    Args:
        order: What the driver wants.
        machine: This machine. Core ids are handed out in turn, again from the first where the cluster manager counts more
            cores than there are.
    """

    def __init__(self, order: OpenSession, machine: Node) -> None:
        cores = [machine.cores[index % len(machine.cores)] for index in range(order.node.num_cores)]
        node = machine.with_cores(cores)
        devices = (*node.devices, *undetected(machine, order.node.accelerators))
        node = replace(node, id=order.node.name, devices=devices)
        self._node = node if order.only is None else order.only.of(node)
        self._host = order.node.host
        path = dict.fromkeys((*order.driver_path, *_import_path_without(order.hidden_packages)))
        self._environment = {"PYTHONPATH": os.pathsep.join(path)}
        self._engine = LocalEngine(Path(order.root), self._node)
        for item in order.exclusions:
            self.exclude(item.cores, item.reason)
        self._lock = threading.Lock()
        self._handles: dict[str, GangHandle] = {}
        self._rendezvous: dict[str, socket.socket] = {}
        self._abandoned: set[str] = set()

    def close(self) -> None:
        """End everything."""
        self._engine.close()
        with self._lock:
            holders, self._rendezvous = self._rendezvous, {}
        for holder in holders.values():
            holder.close()

    def describe(self) -> Node:
        """The node as its machine sees itself."""
        return self._node

    def exclude(self, cores: tuple[int, ...], reason: str) -> None:
        """Place nothing on these cores any more."""
        self._engine.exclude(self._node.id, cores, reason)

    def hold_rendezvous(self, key: str) -> str:
        """Reserve a port for a gang whose rank 0 runs here; `host:port`."""
        holder = hold_rendezvous(self._host)
        with self._lock:
            self._rendezvous[key] = holder
        return "{}:{}".format(*holder.getsockname())

    def release_rendezvous(self, key: str) -> None:
        """Give the port of a gang back, if this node holds it."""
        with self._lock:
            holder = self._rendezvous.pop(key, None)
        if holder is not None:
            holder.close()

    def start(self, order: StartPart) -> Placement:
        """Start the part of a gang that runs here; returns where."""
        tasks = [replace(task, environment={**self._environment, **task.environment}) for task in order.gang.tasks]
        handle = self._engine.submit_part(replace(order.gang, tasks=tuple(tasks)), order.part, order.placement)
        with self._lock:
            self._handles[order.key] = handle
            is_abandoned = order.key in self._abandoned
        if is_abandoned:
            self._engine.cancel(handle, 0.0)
            raise UnavailableError(f"gang '{order.gang.name}' was abandoned before it started", next_step="submit it again")
        placed = self._engine.status(handle).tasks
        return Placement(tasks=tuple(TaskPlacement(node=task.node, cores=task.cores, devices=task.devices) for task in placed))

    def forget(self, key: str) -> None:
        """Drop what is kept of a part that has ended."""
        with contextlib.suppress(NotFoundError):
            self._engine.forget(self._handle(key))
            with self._lock:
                del self._handles[key]

    def abandon(self, key: str) -> None:
        """End a part, even if its start is still under way."""
        with self._lock:
            self._abandoned.add(key)
            handle = self._handles.get(key)
        if handle is not None:
            self._engine.cancel(handle, 0.0)
        self.release_rendezvous(key)

    def listen(self, key: str, after: int, wait_s: float) -> Heard:
        """Events of the part from `after` on, and the time of each of its tasks' last heartbeat."""
        handle = self._handle(key)
        events = self._engine.events(handle, after, wait_s)
        heartbeats_s = tuple(task.last_heartbeat_s for task in self._engine.status(handle).tasks)
        return Heard(events=events, heartbeats_s=heartbeats_s)

    def cancel(self, key: str, grace_s: float) -> None:
        """End the part; returns when it is gone."""
        self._engine.cancel(self._handle(key), grace_s)

    def kill(self, key: str, index: int, signal: int) -> None:
        """Send a signal to one task of the part."""
        self._engine.kill(self._handle(key), index, signal)

    def log(self, key: str, index: int) -> str:
        """Log of one task of the part."""
        return self._engine.logs(self._handle(key), index)

    def _handle(self, key: str) -> GangHandle:
        with self._lock:
            if key not in self._handles:
                raise NotFoundError(f"no gang '{key}' on this node", expected=", ".join(self._handles) or "none yet")
            return self._handles[key]


def _import_path_without(packages: Sequence[str]) -> list[str]:
    """Where this process imports from, less folders inside `packages`: Ray, say, puts old copies of other packages there."""
    files = [sys.modules[name].__file__ for name in packages if name in sys.modules]
    own = tuple(str(Path(file).parent) for file in files if file)
    return [entry for entry in import_path() if not own or not entry.startswith(own)]
