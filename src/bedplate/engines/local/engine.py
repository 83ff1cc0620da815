"""Gangs as processes of this machine.

    engine (this process) --one watch thread per gang--> one keeper per task --> task

The engine books slots, starts the keepers and answers questions; `gang.py` follows what runs, `keeper.py` makes sure that
nothing outlives its task or this process. What is cancelled, killed, closed or abandoned (`kill -9` of this process) leaves no
process, port, scratch directory or shared-memory segment behind; logs stay under `root`.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bedplate.core.clock import Clock, SystemClock
from bedplate.core.devices import Exclusion, Node
from bedplate.core.errors import NotFoundError, UnavailableError, UsageError
from bedplate.core.implements import implements
from bedplate.core.workload import Gang, GangHandle, GangStatus, Placement, TaskEvent
from bedplate.engines.base import CanExclude, Engine, EngineStatistics, FaultInjection
from bedplate.engines.checks import check_gang
from bedplate.engines.ledger import NodeLedger, reserve
from bedplate.engines.local.gang import LocalGang
from bedplate.engines.local.launch import (
    Launch,
    TaskProcess,
    check_loopback,
    hold_rendezvous,
    log_path,
    new_directory,
    start_task,
)
from bedplate.engines.record import EngineRecord

CLOSE_GRACE_S = 1.0
"""What `close` gives tasks between SIGTERM and SIGKILL."""
_MAX_LOG_BYTES = 1_000_000
_UNKILLABLE_S = 30.0
"""After SIGKILL a process may be held by a driver or a file system; longer than this is reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GangPart:
    """What of a larger gang is started here: a gang over several machines is one part a machine."""

    ranks: tuple[int, ...]
    """Rank in the complete gang of each task of the part, in order."""
    world_size: int
    """Tasks of the complete gang."""
    rendezvous: str
    """`host:port` that is held for the complete gang."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Submitted:
    gang: LocalGang
    directory: Path


class LocalEngine:
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
        self._changed = threading.Condition()
        self._record = EngineRecord()
        self._gangs: dict[str, _Submitted] = {}
        self._is_closed = False

    def submit(self, gang: Gang, placement: Placement | None = None, part: GangPart | None = None) -> GangHandle:
        """See `Engine.submit`. Returns when every keeper is started; `started` events follow in some 20 ms.

        Args:
            gang: The tasks to start here.
            placement: Where on this node each of them runs.
            part: Where these tasks stand in a larger gang. The handle, events and status count them from 0 all the same.

        Raises:
            ResourcesError: More is asked than the engine has, or than is free now.
            UsageError: The gang cannot be run, a descriptor is not open, or the engine is closed.
            UnavailableError: The machine refused a process or a file, or its loopback interface is down.
        """
        check_gang(gang)
        _check_descriptors(gang)
        if part is None and len(gang.tasks) > 1:
            check_loopback()
        with self._changed:
            if self._is_closed:
                raise UsageError("the engine is closed", next_step="open another one")
            placement = reserve(gang, placement, [self._ledger])
            try:
                return self._start(gang, placement, part)
            except BaseException as error:
                for rank in range(len(gang.tasks)):
                    self._release(gang, placement, rank)
                if isinstance(error, OSError):
                    raise _machine_refused(gang, error) from error
                raise

    @implements(Engine)
    def gangs(self) -> tuple[GangHandle, ...]:
        with self._changed:
            return self._record.gangs()

    @implements(Engine)
    def status(self, handle: GangHandle) -> GangStatus:
        with self._changed:
            return self._record.find(handle).status()

    @implements(Engine)
    def events(self, handle: GangHandle | None = None, after: int = 0, wait_s: float = 0.0) -> tuple[TaskEvent, ...]:
        with self._changed:
            if handle is None:
                self._changed.wait_for(lambda: self._record.num_events > after or self._is_closed, wait_s)
            else:
                record = self._record.find(handle)
                self._changed.wait_for(lambda: record.has_news(after), wait_s)
            return self._record.events(handle, after)

    @implements(Engine)
    def wait(self, handle: GangHandle, timeout_s: float | None = None) -> GangStatus:
        with self._changed:
            record = self._record.find(handle)
            self._changed.wait_for(lambda: record.is_final, timeout_s)
            return record.status()

    def cancel(self, handle: GangHandle, grace_s: float = 5.0) -> None:
        """See `Engine.cancel`; SIGTERM goes to the task's own process, SIGKILL to all that descends from it.

        Raises:
            UnavailableError: A process survived SIGKILL: a driver or a file system holds it.
        """
        with self._changed:
            self._record.find(handle)
            gang = self._gangs[handle.id].gang
        gang.cancel(grace_s)
        self._wait_gone([gang], grace_s)

    @implements(Engine)
    def logs(self, handle: GangHandle, rank: int) -> str:
        with self._changed:
            self._record.find(handle).task(rank)
            submitted = self._gangs[handle.id]
        with log_path(submitted.directory, rank).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _MAX_LOG_BYTES))
            return file.read().decode(errors="replace")

    @implements(Engine)
    def forget(self, handle: GangHandle) -> None:
        with self._changed:
            self._record.forget(handle)
            del self._gangs[handle.id]

    def resources(self) -> tuple[Node, ...]:
        """This machine as one node; a core is listed as often as it may be taken."""
        return (self._node,)

    @implements(Engine)
    def statistics(self) -> EngineStatistics:
        with self._changed:
            return self._record.statistics()

    def close(self) -> None:
        """Cancel what runs and wait until it is gone; logs, events and status stay readable."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            gangs = [submitted.gang for submitted in self._gangs.values()]
        for gang in gangs:
            gang.cancel(CLOSE_GRACE_S)
        self._wait_gone(gangs, CLOSE_GRACE_S)

    @implements(FaultInjection)
    def kill(self, handle: GangHandle, rank: int, signal: int) -> None:
        with self._changed:
            self._record.find(handle)
            gang = self._gangs[handle.id].gang
        gang.signal(rank, signal)

    def exclude(self, node_id: str, cores: tuple[int, ...], reason: str) -> None:
        """See `CanExclude.exclude`. Each mention takes out one slot: all of a core, unless the core was listed twice.

        Raises:
            NotFoundError: Not this node, or no slot that is not excluded yet.
        """
        with self._changed:
            if node_id != self._node.id:
                raise NotFoundError(f"no node '{node_id}'", expected=self._node.id)
            self._ledger.exclude(tuple(cores), reason)

    @implements(CanExclude)
    def exclusions(self) -> tuple[Exclusion, ...]:
        with self._changed:
            return self._ledger.exclusions

    def _start(self, gang: Gang, placement: Placement, part: GangPart | None) -> GangHandle:
        directory = new_directory(self._root, gang.name)
        rendezvous = hold_rendezvous()
        if part is None:
            address = "{}:{}".format(*rendezvous.getsockname())
            part = GangPart(ranks=tuple(range(len(gang.tasks))), world_size=len(gang.tasks), rendezvous=address)
        processes: list[TaskProcess] = []
        try:
            for index, task in enumerate(gang.tasks):
                launch = Launch(
                    gang=gang.name,
                    index=index,
                    rank=part.ranks[index],
                    world_size=part.world_size,
                    task=task,
                    place=placement.tasks[index],
                    rendezvous=part.rendezvous,
                    directory=directory,
                    node=self._node,
                )
                processes.append(start_task(launch))
        except BaseException:
            rendezvous.close()
            for process in processes:
                process.close()  # end of file: its keeper ends what it may have started
            shutil.rmtree(directory, ignore_errors=True)
            raise
        handle = GangHandle(id=directory.name, name=gang.name, num_tasks=len(gang.tasks))
        local = LocalGang(
            self._record.open(handle, placement),
            processes,
            changed=self._changed,
            clock=self._clock,
            heartbeat_timeout_s=gang.heartbeat_timeout_s,
            rendezvous=rendezvous,
            on_task_end=lambda rank: self._release(gang, placement, rank),
        )
        self._gangs[handle.id] = _Submitted(gang=local, directory=directory)
        local.start_watching()
        return handle

    def _release(self, gang: Gang, placement: Placement, rank: int) -> None:
        self._ledger.release(placement.tasks[rank], gang.tasks[rank].resources)

    def _wait_gone(self, gangs: Sequence[LocalGang], grace_s: float) -> None:
        for gang in gangs:
            if not gang.wait_gone(grace_s + _UNKILLABLE_S):
                raise UnavailableError(
                    f"gang '{gang.record.handle.id}' has a process that SIGKILL does not end",
                    seen=f"alive {grace_s + _UNKILLABLE_S:.0f} s after the request",
                    next_step="check its state with ps (D: a hung driver or file system)",
                )


def _machine_refused(gang: Gang, error: OSError) -> UnavailableError:
    return UnavailableError(
        f"gang '{gang.name}' could not be started",
        seen=error,
        expected="processes, descriptors and disk for all tasks",
        next_step="see ulimit -u, ulimit -n and df",
    )


def _check_descriptors(gang: Gang) -> None:
    for rank, task in enumerate(gang.tasks):
        for name, fd in task.inherited.items():
            try:
                os.fstat(fd)
            except OSError as error:
                raise UsageError(
                    f"rank {rank}: descriptor '{name}' is not open",
                    seen=f"{fd}: {error.strerror}",
                    expected="a descriptor that stays open until submit returns",
                ) from error
