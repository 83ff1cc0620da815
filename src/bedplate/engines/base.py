"""The engine contract: where work runs. One small protocol, and a few optional capabilities.

An engine starts all tasks of a gang or none, where a scheduler or its own default policy places them; it watches them and
reports what happened, in order. It never restarts anything: what a failure means is the caller's business. `tests/engines/` is
the one suite that every engine passes.

An engine keeps what it knows of a gang until `forget`: the owner of the engine calls it, once nobody reads the gang any more.

To write an engine is to write what differs from the others:

- a class that derives from `RecordedEngine` (`engines/recorded.py`): `name`, `_start` (place a gang, and start all of it or
  none), `resources`, and `_release` where the engine itself holds something;
- a `RunningGang` (same file), which `_start` returns: it notices what happens to the tasks and says so into its record
  (`follow`), asks them to end (`cancel`, `wait_gone`), reads their logs, and forgets;
- the methods of each capability below that it has;
- an `EngineOpener`, by which people name it, with its line in `ENGINES` of `app/wiring.py`.

Events, states, waiting, counters and checks come with the base class; `engines/ledger.py` keeps the books of an engine that
places by itself; where tasks run on other machines, a transport for `engines/remote/` may be all that is missing. The proof is
`tests/engines/`: one class in its `registry.py`, and `pytest tests/engines -k NAME`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from bedplate.core.allocation import NodeAllocation
from bedplate.core.devices import Device, Exclusion, Node
from bedplate.core.workload import Gang, GangHandle, GangStatus, Placement, TaskEvent

__all__ = [
    "CanExclude",
    "CanInheritDescriptors",
    "CanLoseNodes",
    "CanSurvey",
    "Engine",
    "EngineFactory",
    "EngineOpener",
    "EngineStatistics",
    "FaultInjection",
    "GangHandle",
    "HasResources",
    "NodeReport",
    "num_usable_cores",
]


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

    def submit(self, gang: Gang, placement: Placement | None = None) -> GangHandle:
        """Reserve resources for all tasks and start them, or start none.

        Args:
            gang: The tasks.
            placement: Where each of them runs, as a scheduler decided from `resources`. None: the engine's default policy.

        Raises:
            ResourcesError: More is asked than the engine has, or than is free now; or the placement names what is taken.
            UnavailableError: A machine refused a process or a file.
            UsageError: The gang is empty, its name is unfit, it needs a capability that the engine lacks, or the placement
                is not one for this gang.
        """
        ...

    def gangs(self) -> tuple[GangHandle, ...]:
        """Gangs that were submitted and not forgotten, oldest first."""
        ...

    def status(self, handle: GangHandle) -> GangStatus:
        """Where each task is now.

        Raises:
            NotFoundError: Not a gang of this engine, or one that was forgotten.
        """
        ...

    def events(self, handle: GangHandle | None = None, after: int = 0, wait_s: float = 0.0) -> tuple[TaskEvent, ...]:
        """Events from sequence number `after` on. One sequence numbers the events of all gangs; each event names its gang.

        Args:
            handle: Only the events of this gang. None: of every gang that is not forgotten.
            after: First sequence number wanted: one more than that of the last event seen.
            wait_s: With none to give, wait up to this long for the next one (virtual seconds under `simulated`), not at all
                once the gang has ended or the engine is closed.
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

    def forget(self, handle: GangHandle) -> None:
        """Drop status, events and logs of a gang that has ended, so that memory stays bounded; log files stay on disk.

        Raises:
            NotFoundError: Not a gang of this engine, or one that was forgotten.
            UsageError: The gang has not ended.
        """
        ...

    def resources(self) -> tuple[Node, ...]:
        """Nodes and devices that the engine owns, taken or not, excluded or not."""
        ...

    def statistics(self) -> EngineStatistics:
        """Counters; O(1), however many gangs there were."""
        ...

    def close(self) -> None:
        """Cancel what runs, release everything. Calling it twice is fine."""
        ...


@runtime_checkable
class FaultInjection(Protocol):
    """An engine that can inject faults into its own tasks, for drills."""

    def kill(self, handle: GangHandle, rank: int, signal: int) -> None:
        """Send `signal` to the process of one task; the engine reports it like any other death."""
        ...


@runtime_checkable
class CanInheritDescriptors(Protocol):
    """An engine whose tasks run on this machine and can receive open file descriptors (`Task.inherited`).

    The attribute is there or it is not: an engine that cannot do this does not have it.
    """

    inherits_descriptors: Literal[True]


@runtime_checkable
class CanLoseNodes(Protocol):
    """An engine that can lose a node on purpose, for drills."""

    def remove_node(self, node_id: str) -> None:
        """Make a node disappear; its tasks end with cause `node-lost`."""
        ...


@runtime_checkable
class CanExclude(Protocol):
    """An engine that can leave cores out of later placements."""

    def exclude(self, node_id: str, cores: tuple[int, ...], reason: str) -> None:
        """Place nothing on these cores any more; what runs there keeps running, and `resources` still lists them.

        Where an over-subscribed engine lists a core twice, each mention takes out one of the two.

        Raises:
            NotFoundError: No such node, or one of these cores is excluded already.
        """
        ...

    def exclusions(self) -> tuple[Exclusion, ...]:
        """What was excluded so far."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeReport:
    """What one machine of a cluster says it is."""

    id: str
    """`Node.id`."""
    labels: Mapping[str, str] = field(default_factory=dict)
    devices: tuple[Device, ...] = ()
    troubles: tuple[str, ...] = ()
    """What could not be read there, for people; why the node is silent, if it is."""
    has_answered: bool = True


@runtime_checkable
class CanSurvey(Protocol):
    """An engine whose machines can be read anew, each by itself."""

    def survey(self, timeout_s: float) -> tuple[NodeReport, ...]:
        """A report of every node that is alive; takes no cores. One that is silent until then is in it, with its trouble."""
        ...


EngineFactory = Callable[[Path], Engine]
"""Opens an engine that keeps logs and scratch under the given directory."""


class EngineOpener(Protocol):
    """How each kind of engine is opened from a URL."""

    def __call__(self, root: Path, location: str, node_reader: str, *, only: Sequence[NodeAllocation] = ()) -> Engine:
        """An engine; its caller closes it.

        Args:
            root: Directory for logs and scratch.
            location: What follows `scheme://`; may be empty.
            node_reader: Name of the function that reads a machine (see `engines/node_reader.py`).
            only: What of the nodes it may use; all of them where nothing is named.

        Raises:
            ResourcesError: No node of `only` is there.
        """
        ...


class HasResources(Protocol):
    """An engine, or a view of one that can only be looked at."""

    def resources(self) -> tuple[Node, ...]:
        """Nodes and devices that the engine owns, taken or not, excluded or not."""
        ...


def num_usable_cores(engine: HasResources) -> dict[str, int]:
    """Cores of each node, by `Node.id`, that are not excluded, taken or not; one that is listed twice counts twice."""
    cores = {node.id: node.num_cores for node in engine.resources()}
    for exclusion in engine.exclusions() if isinstance(engine, CanExclude) else ():
        if exclusion.node_id in cores:
            cores[exclusion.node_id] -= len(exclusion.cores)
    return cores
