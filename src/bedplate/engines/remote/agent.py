"""One agent per node: local engines of that machine, reachable through a transport.

The driver decides which node carries which task; the agent pins, starts, watches and ends the process there, exactly as on a
single machine: same cores, limits, logs, causes, and no orphans. When the driver or the node's manager goes, the transport ends
the agent, and the keepers see that and end the tasks.

An agent serves all engines of one driver, each in a session with a local engine of its own. A gang has the same key on every
node, chosen by the driver, so that a call whose answer was lost can be undone by name (`abandon`).
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

from bedplate.core.devices import Exclusion, Node
from bedplate.core.errors import NotFoundError, UnavailableError
from bedplate.core.workload import Gang, GangHandle, Placement, TaskEvent, TaskPlacement
from bedplate.engines.local.engine import LocalEngine
from bedplate.engines.local.environment import import_path
from bedplate.engines.local.rendezvous import hold_rendezvous
from bedplate.engines.local.start import GangPart
from bedplate.engines.node_reader import read_node
from bedplate.engines.remote.transport import RemoteNode


@dataclass(frozen=True, slots=True, kw_only=True)
class _Session:
    """What one engine of the driver has on this node."""

    engine: LocalEngine
    handles: dict[str, GangHandle] = field(default_factory=dict)
    rendezvous: dict[str, socket.socket] = field(default_factory=dict)
    abandoned: set[str] = field(default_factory=set)


class NodeAgent:
    """The part of remote engines that lives on one node. Thread-safe: a transport calls its methods from threads of its own.

    Args:
        node: The node that it is on, as the cluster manager sees it. Core ids are handed out in turn, again from the first
            where the manager counts more cores than there are.
        node_reader: Function that reads this machine; see `engines/node_reader.py`.
        driver_path: Where the driver imports from; tasks look there first. bedplate itself must be installed on the node.
        hidden_packages: Packages of the transport whose own folders tasks must not import from.
    """

    def __init__(
        self,
        node: RemoteNode,
        node_reader: str,
        driver_path: tuple[str, ...] = (),
        hidden_packages: tuple[str, ...] = (),
    ) -> None:
        # The transport may have pinned this process; which cores a task gets is the local engine's business.
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
        machine = read_node(node_reader)
        cores = [machine.cores[slot % len(machine.cores)] for slot in range(node.num_slots)]
        self._node = replace(machine.with_cores(cores), id=node.name)
        self._host = node.host
        self._path = os.pathsep.join(dict.fromkeys((*driver_path, *_import_path_without(hidden_packages))))
        self._lock = threading.Lock()
        self._sessions: dict[str, _Session] = {}

    def open(self, engine: str, root: str, exclusions: Sequence[Exclusion]) -> None:
        """Begin a session of one engine; its logs and scratch directories go under `root`."""
        session = _Session(engine=LocalEngine(Path(root), self._node))
        for item in exclusions:
            session.engine.exclude(self._node.id, item.cores, item.reason)
        with self._lock:
            self._sessions[engine] = session

    def close(self, engine: str) -> None:
        """End everything of one engine."""
        with self._lock:
            session = self._sessions.pop(engine, None)
        if session is not None:
            session.engine.close()
            for holder in session.rendezvous.values():
                holder.close()

    def describe(self, engine: str) -> Node:
        """The node as its machine sees itself."""
        return self._session(engine).engine.resources()[0]

    def exclude(self, engine: str, cores: tuple[int, ...], reason: str) -> None:
        """Place nothing on these cores any more."""
        self._session(engine).engine.exclude(self._node.id, cores, reason)

    def hold_rendezvous(self, engine: str, key: str) -> str:
        """Reserve a port for a gang whose rank 0 runs here; `host:port`."""
        holder = hold_rendezvous(self._host)
        with self._lock:
            self._sessions[engine].rendezvous[key] = holder
        return "{}:{}".format(*holder.getsockname())

    def release_rendezvous(self, engine: str, key: str) -> None:
        """Give the port of a gang back, if this node holds it."""
        with self._lock:
            session = self._sessions.get(engine)
            holder = session.rendezvous.pop(key, None) if session else None
        if holder is not None:
            holder.close()

    def submit(
        self, engine: str, key: str, gang: Gang, part: GangPart, placement: Placement | None = None
    ) -> tuple[TaskPlacement, ...]:
        """Start the part of a gang that runs here, at these places if they are given; returns the place of each task."""
        session = self._session(engine)
        path = {"PYTHONPATH": self._path}
        tasks = tuple(replace(task, environment={**path, **task.environment}) for task in gang.tasks)
        handle = session.engine.submit_part(replace(gang, tasks=tasks), part, placement)
        with self._lock:
            session.handles[key] = handle
            is_abandoned = key in session.abandoned
        if is_abandoned:
            session.engine.cancel(handle, 0.0)
            raise UnavailableError(f"gang '{gang.name}' was abandoned before it started", next_step="submit it again")
        tasks_here = session.engine.status(handle).tasks
        return tuple(TaskPlacement(node=task.node, cores=task.cores, devices=task.devices) for task in tasks_here)

    def forget(self, engine: str, key: str) -> None:
        """Drop what is kept of a part that has ended."""
        with contextlib.suppress(NotFoundError):
            local, handle = self._part(engine, key)
            local.forget(handle)
            with self._lock:
                del self._sessions[engine].handles[key]

    def abandon(self, engine: str, key: str) -> None:
        """Not all of a gang could be started: end what of it runs here, even if its start is still under way."""
        with contextlib.suppress(NotFoundError):
            session = self._session(engine)
            with self._lock:
                session.abandoned.add(key)
                handle = session.handles.get(key)
            if handle is not None:
                session.engine.cancel(handle, 0.0)
        self.release_rendezvous(engine, key)

    def events(
        self, engine: str, key: str, after: int, wait_s: float
    ) -> tuple[tuple[TaskEvent, ...], tuple[float | None, ...]]:
        """Events of the part from `after` on, and the time of each of its tasks' last heartbeat."""
        local, handle = self._part(engine, key)
        events = local.events(handle, after, wait_s)
        return events, tuple(task.last_heartbeat_s for task in local.status(handle).tasks)

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

    def _session(self, engine: str) -> _Session:
        with self._lock:
            if engine not in self._sessions:
                raise NotFoundError(
                    f"engine '{engine}' is not open on this node", expected=", ".join(self._sessions) or "none is"
                )
            return self._sessions[engine]

    def _part(self, engine: str, key: str) -> tuple[LocalEngine, GangHandle]:
        session = self._session(engine)
        try:
            return session.engine, session.handles[key]
        except KeyError:
            raise NotFoundError(f"no gang '{key}' on this node", expected=", ".join(session.handles) or "none yet") from None


def _import_path_without(packages: Sequence[str]) -> list[str]:
    """Where this process imports from, less folders inside `packages`: Ray, say, puts old copies of other packages there."""
    files = [sys.modules[name].__file__ for name in packages if name in sys.modules]
    own = tuple(str(Path(file).parent) for file in files if file)
    return [entry for entry in import_path() if not own or not entry.startswith(own)]
