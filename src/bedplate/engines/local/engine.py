"""Gangs as processes of this machine.

    engine (this process) --one watch thread per gang--> one keeper per task --> task

The engine books cores, `start.py` starts the keepers, `gang.py` follows what runs, and `keeper.py` makes sure that nothing
outlives its task or this process. What is cancelled, killed, closed or abandoned (`kill -9` of this process) leaves no process,
port, scratch directory or shared-memory segment behind; logs stay under `root`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal

from bedplate.core.clock import Clock, SystemClock
from bedplate.core.devices import Exclusion, Node
from bedplate.core.errors import NotFoundError, UnavailableError, UsageError
from bedplate.core.implements import implements
from bedplate.core.workload import Gang, GangHandle, Placement
from bedplate.engines.base import CanExclude, FaultInjection
from bedplate.engines.ledger import NodeLedger, reserve
from bedplate.engines.local.gang import LocalGang
from bedplate.engines.local.start import GangPart, StartedTasks, start_tasks
from bedplate.engines.recorded import RecordedEngine


class LocalEngine(RecordedEngine[LocalGang]):
    """The engine of one machine. Linux only. Implements FaultInjection, CanInheritDescriptors and CanExclude.

    Args:
        root: Logs and scratch directories go here; made when missing. Engines may share it.
        node: This machine, as the inventory describes it; a core that is listed twice takes two tasks, and a task sees only the
            accelerators that it was given.
        clock: Where the times of events come from.

    Raises:
        UsageError: A core that this process may not use.
        UnavailableError: Not on Linux.
    """

    name = "local"
    inherits_descriptors: Literal[True] = True

    def __init__(self, root: Path, node: Node, *, clock: Clock | None = None) -> None:
        super().__init__()
        if sys.platform != "linux":
            raise UnavailableError("the local engine needs Linux", seen=sys.platform, next_step="use the simulated engine")
        usable = os.sched_getaffinity(0)
        if not node.cores or not usable.issuperset(node.cores):
            raise UsageError("not cores of this process", seen=list(node.cores), expected=f"some of {sorted(usable)}")
        self._root = Path(root)
        self._root.mkdir(parents=True, exist_ok=True)
        self._node = node
        self._ledger = NodeLedger(self._node)
        self._clock = clock or SystemClock()

    def resources(self) -> tuple[Node, ...]:
        """This machine as one node; a core is listed as often as it may be taken."""
        return (self._node,)

    def submit_part(self, gang: Gang, part: GangPart, placement: Placement | None = None) -> GangHandle:
        """As `submit`, for what runs here of a larger gang. The handle, events and status count these tasks from 0.

        Raises:
            ResourcesError: More is asked than the engine has, or than is free now.
            UsageError: The gang cannot be run, or the engine is closed.
            UnavailableError: The machine refused a process or a file.
        """
        return self._admit(gang, lambda: self._start_part(gang, placement, part))

    @implements(FaultInjection)
    def kill(self, handle: GangHandle, rank: int, signal: int) -> None:
        self._find(handle).kill(rank, signal)

    def exclude(self, node_id: str, cores: tuple[int, ...], reason: str) -> None:
        """See `CanExclude.exclude`. Each mention takes out a core once: all of it, unless it was listed twice.

        Raises:
            NotFoundError: Not this node, or no core that is not excluded yet.
        """
        with self._changed:
            if node_id != self._node.id:
                raise NotFoundError(f"no node '{node_id}'", expected=self._node.id)
            self._ledger.exclude(tuple(cores), reason)

    @implements(CanExclude)
    def exclusions(self) -> tuple[Exclusion, ...]:
        with self._changed:
            return self._ledger.exclusions

    def _start(self, gang: Gang, placement: Placement | None) -> LocalGang:
        """Returns when every keeper is started; `started` events follow in some 20 ms."""
        return self._start_part(gang, placement, None)

    def _start_part(self, gang: Gang, placement: Placement | None, part: GangPart | None) -> LocalGang:
        with self._changed:
            placed = reserve(gang, placement, [self._ledger])
        try:
            started = start_tasks(gang, placed, part, self._root, self._node)
        except BaseException:
            with self._changed:
                for rank in range(len(gang.tasks)):
                    self._free(gang, placed, rank)
            raise
        return self._gang(gang, placed, started)

    def _gang(self, gang: Gang, placed: Placement, started: StartedTasks) -> LocalGang:
        handle = GangHandle(id=started.directory.name, name=gang.name, num_tasks=len(gang.tasks))
        return LocalGang(
            self._record.new(handle, placed),
            started,
            changed=self._changed,
            clock=self._clock,
            heartbeat_timeout_s=gang.heartbeat_timeout_s,
            on_task_end=lambda rank: self._free(gang, placed, rank),
        )

    def _free(self, gang: Gang, placed: Placement, rank: int) -> None:
        self._ledger.release(placed.tasks[rank], gang.tasks[rank].resources)
