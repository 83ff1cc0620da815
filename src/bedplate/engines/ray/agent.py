"""One actor a node: local engines of that machine, reachable through Ray.

Ray decides which node carries which task; the agent pins, starts, watches and ends the process there, exactly as on a single
machine: same cores, limits, logs, causes, and no orphans. When the driver or the raylet goes, Ray ends the agent, and the
keepers see that and end the tasks.

An agent serves all engines of one driver, each with a local engine of its own (`_Room`). A gang has the same key on every
node, chosen by the driver, so what became of a call whose answer was lost can be undone by name (`abandon`).
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bedplate.core.devices import Node
from bedplate.core.errors import NotFoundError, UnavailableError
from bedplate.core.workload import Gang, GangHandle, Placement, TaskEvent
from bedplate.engines.local.engine import GangPart, LocalEngine
from bedplate.engines.local.launch import hold_rendezvous, import_path
from bedplate.engines.node_reader import read_node

LeftOut = tuple[tuple[int, ...], str]
"""Cores, and why they are left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Room:
    """What one engine of the driver has on this node."""

    engine: LocalEngine
    handles: dict[str, GangHandle] = field(default_factory=dict)
    rendezvous: dict[str, socket.socket] = field(default_factory=dict)
    abandoned: set[str] = field(default_factory=set)


class NodeAgent:
    """The part of Ray engines that lives on one node. Its methods run in threads of the actor.

    Args:
        name: By which people know the node.
        num_slots: Cores that Ray counts on the node; core ids are handed out in turn, again from the first where
            Ray counts more than there are.
        host: Address of the node under which the others reach it.
        node_reader: Function that reads this machine; see `engines/node_reader.py`.
        driver_path: Where the driver imports from; tasks look there first. bedplate itself must be installed on the node.
    """

    def __init__(self, name: str, num_slots: int, host: str, node_reader: str, driver_path: tuple[str, ...] = ()) -> None:
        # Ray may have pinned this process; the cores of a task are the local engine's business, and need all to choose from.
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
        node = read_node(node_reader)
        cores = [node.cores[slot % len(node.cores)] for slot in range(num_slots)]
        self._node = replace(node.with_cores(cores), id=name)
        self._host = host
        self._path = os.pathsep.join(dict.fromkeys((*driver_path, *_path_without_ray())))
        self._lock = threading.Lock()
        self._rooms: dict[str, _Room] = {}

    def open(self, engine: str, root: str, exclusions: Sequence[LeftOut]) -> None:
        """Make a room for one engine; its logs and scratch directories go under `root`."""
        room = _Room(engine=LocalEngine(Path(root), self._node))
        for cores, reason in exclusions:
            room.engine.exclude(self._node.id, cores, reason)
        with self._lock:
            self._rooms[engine] = room

    def close(self, engine: str) -> None:
        """End everything of one engine."""
        with self._lock:
            room = self._rooms.pop(engine, None)
        if room is not None:
            room.engine.close()
            for holder in room.rendezvous.values():
                holder.close()

    def describe(self, engine: str) -> Node:
        """The node as its machine sees itself."""
        return self._room(engine).engine.resources()[0]

    def exclude(self, engine: str, cores: tuple[int, ...], reason: str) -> None:
        """Place nothing on these cores any more."""
        self._room(engine).engine.exclude(self._node.id, cores, reason)

    def hold_rendezvous(self, engine: str, key: str) -> str:
        """Reserve a port for a gang whose rank 0 runs here; `host:port`."""
        holder = hold_rendezvous(self._host)
        with self._lock:
            self._rooms[engine].rendezvous[key] = holder
        return "{}:{}".format(*holder.getsockname())

    def release_rendezvous(self, engine: str, key: str) -> None:
        """Give the port of a gang back, if this node holds it."""
        with self._lock:
            room = self._rooms.get(engine)
            holder = room.rendezvous.pop(key, None) if room else None
        if holder is not None:
            holder.close()

    def submit(
        self, engine: str, key: str, gang: Gang, part: GangPart, placement: Placement | None = None
    ) -> tuple[tuple[int, ...], ...]:
        """Start the part of a gang that runs here, on these cores if they are given; returns the cores of each task."""
        room = self._room(engine)
        path = {"PYTHONPATH": self._path}
        tasks = tuple(replace(task, environment={**path, **task.environment}) for task in gang.tasks)
        handle = room.engine.submit(replace(gang, tasks=tasks), placement, part)
        with self._lock:
            room.handles[key] = handle
            is_abandoned = key in room.abandoned
        if is_abandoned:
            room.engine.cancel(handle, 0.0)
            raise UnavailableError(f"gang '{gang.name}' was given up before it had started")
        return tuple(task.cores for task in room.engine.status(handle).tasks)

    def forget(self, engine: str, key: str) -> None:
        """Drop what is kept of a part that has ended."""
        with contextlib.suppress(NotFoundError):
            local, handle = self._part(engine, key)
            local.forget(handle)
            with self._lock:
                del self._rooms[engine].handles[key]

    def abandon(self, engine: str, key: str) -> None:
        """A gang could not be started as a whole: end what of it runs here, also if its start is still under way."""
        with contextlib.suppress(NotFoundError):
            room = self._room(engine)
            with self._lock:
                room.abandoned.add(key)
                handle = room.handles.get(key)
            if handle is not None:
                room.engine.cancel(handle, 0.0)
        self.release_rendezvous(engine, key)

    def events(
        self, engine: str, key: str, after: int, wait_s: float
    ) -> tuple[tuple[TaskEvent, ...], tuple[float | None, ...]]:
        """Events of the part from `after` on, and when each of its tasks was last heard."""
        local, handle = self._part(engine, key)
        events = local.events(handle, after, wait_s)
        return events, tuple(task.last_heard_s for task in local.status(handle).tasks)

    def cancel(self, engine: str, key: str, grace_s: float) -> None:
        """End the part; returns when it is gone."""
        local, handle = self._part(engine, key)
        local.cancel(handle, grace_s)

    def kill(self, engine: str, key: str, index: int, signal: int) -> None:
        """Send a signal to one task of the part."""
        local, handle = self._part(engine, key)
        local.kill(handle, index, signal)

    def logs(self, engine: str, key: str, index: int) -> str:
        """Log of one task of the part."""
        local, handle = self._part(engine, key)
        return local.logs(handle, index)

    def _room(self, engine: str) -> _Room:
        with self._lock:
            if engine not in self._rooms:
                raise NotFoundError(f"engine '{engine}' is not open on this node", expected=", ".join(self._rooms) or "none is")
            return self._rooms[engine]

    def _part(self, engine: str, key: str) -> tuple[LocalEngine, GangHandle]:
        room = self._room(engine)
        try:
            return room.engine, room.handles[key]
        except KeyError:
            raise NotFoundError(f"no gang '{key}' on this node", expected=", ".join(room.handles) or "none yet") from None


def _path_without_ray() -> list[str]:
    """Where tasks import from: what this worker can, less Ray's own folders, which hold old copies of other packages."""
    own = [str(Path(module.__file__).parent) for name, module in sys.modules.items() if name == "ray" and module.__file__]
    return [entry for entry in import_path() if not entry.startswith(tuple(own))]
