"""The engine contract: where work runs. One small protocol, and small capabilities beside it.

An engine starts all tasks of a gang or none, watches them, and tells what happened in order. It never restarts by
itself: what a failure means is the caller's business. `tests/engines/` holds the one suite that every engine passes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from bedplate.core.devices import Node
from bedplate.core.workload import Gang, GangStatus, TaskEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class GangHandle:
    """A submitted gang; plain data, valid until the engine is closed."""

    id: str
    """Unique in the engine's life: gang name and a running number."""
    name: str
    num_tasks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStatistics:
    """Counters since the engine was opened, and what runs now."""

    gangs_submitted: int = 0
    gangs_running: int = 0
    tasks_started: int = 0
    tasks_running: int = 0
    tasks_failed: int = 0
    events: int = 0
    events_dropped: int = 0
    """Progress events that a gang's bounded buffer no longer has."""


class Engine(Protocol):
    """Where work runs. Thread-safe. `close` (or the end of the process, however it comes) leaves nothing running."""

    name: str

    def submit(self, gang: Gang) -> GangHandle:
        """Reserve resources for all tasks and start them, or start none.

        Raises:
            ResourcesError: More is asked than the engine has, or than is free now.
            UsageError: The gang is empty, its name is unfit, or it needs a capability that the engine lacks.
        """
        ...

    def status(self, handle: GangHandle) -> GangStatus:
        """Where each task is now.

        Raises:
            NotFoundError: Not a gang of this engine.
        """
        ...

    def events(self, handle: GangHandle, after: int = 0, wait_s: float = 0.0) -> tuple[TaskEvent, ...]:
        """Events of the gang from sequence number `after` on.

        Args:
            handle: The gang.
            after: First sequence number wanted: pass the number of events seen so far.
            wait_s: With none to give, wait up to this long for the next one (virtual seconds under `simulated`).
        """
        ...

    def wait(self, handle: GangHandle, timeout_s: float | None = None) -> GangStatus:
        """Block until every task has ended, or for `timeout_s`; returns the status then."""
        ...

    def cancel(self, handle: GangHandle, grace_s: float = 5.0) -> None:
        """End the gang: ask (SIGTERM), and after `grace_s` make (SIGKILL). Returns when all tasks are gone."""
        ...

    def logs(self, handle: GangHandle, rank: int) -> str:
        """What the task wrote to stdout and stderr so far, newest megabyte at most; stays readable after the end."""
        ...

    def resources(self) -> tuple[Node, ...]:
        """Nodes and devices that the engine owns, taken or not."""
        ...

    def statistics(self) -> EngineStatistics:
        """Counters."""
        ...

    def close(self) -> None:
        """Cancel what runs, release everything. Calling it twice is fine."""
        ...


@runtime_checkable
class FaultInjection(Protocol):
    """An engine that can hurt its own tasks, for drills."""

    def kill(self, handle: GangHandle, rank: int, signal: int) -> None:
        """Send `signal` to the process of one task; the engine must report it as any other death."""
        ...


@runtime_checkable
class CanInheritDescriptors(Protocol):
    """An engine whose tasks run on this machine and can receive open file descriptors (`Task.inherited`)."""

    inherits_descriptors: bool


@runtime_checkable
class CanLoseNodes(Protocol):
    """An engine on which a node can be taken away, for drills."""

    def remove_node(self, node_id: str) -> None:
        """Make a node disappear at once; its tasks end with cause `node-lost`."""
        ...


@runtime_checkable
class CanExclude(Protocol):
    """An engine that can leave a slot out of later placements."""

    def exclude(self, node_id: str, cores: tuple[int, ...], reason: str) -> None:
        """Place nothing on these cores any more; what runs there goes on. `resources` still lists them, and its node's label
        `excluded` says why. Where an over-subscribed engine lists a core twice, each mention takes out one of the two.
        """
        ...


EngineFactory = Callable[[Path], Engine]
"""Opens an engine that keeps logs and scratch under the given directory."""
