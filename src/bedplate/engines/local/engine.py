"""Gangs as processes of this machine.

    engine (this process) --one watch thread a gang--> keeper a task --> task

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
from dataclasses import dataclass, replace
from pathlib import Path

from bedplate.core.clock import Clock, SystemClock
from bedplate.core.devices import Device, Node
from bedplate.core.errors import NotFoundError, UnavailableError, UsageError
from bedplate.core.workload import Gang, GangStatus, TaskEvent, TaskState, TaskStatus
from bedplate.engines.base import EngineStatistics, GangHandle
from bedplate.engines.local.gang import LocalGang
from bedplate.engines.local.launch import Launch, TaskProcess, hold_rendezvous, log_path, new_directory, start_task
from bedplate.engines.local.machine import core_numa_nodes, this_node, usable_cores
from bedplate.engines.record import GangRecord, check_gang, statistics_of
from bedplate.engines.slots import Reservation, Slots, reserve_gang

CLOSE_GRACE_S = 1.0
"""What `close` gives tasks between SIGTERM and SIGKILL."""
_MAX_LOG_BYTES = 1_000_000
_UNKILLABLE_S = 30.0
"""After SIGKILL a process may be held by a driver or a file system; longer than this is reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GangPart:
    """What of a larger gang is started here: a gang over several machines is one part a machine."""

    ranks: tuple[int, ...]
    """Rank in the whole gang of each task of the part, in order."""
    world_size: int
    """Tasks of the whole gang."""
    rendezvous: str
    """`host:port` that is held for the whole gang."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Submitted:
    gang: LocalGang
    directory: Path


class LocalEngine:
    """The engine of one machine. Linux only. Implements FaultInjection, CanInheritDescriptors and CanExclude.

    Args:
        root: Logs and scratch directories go here; made when missing. Engines may share it.
        cores: Slots, as core ids; a core that is listed twice takes two tasks. None: every core of this process once.
        accelerators: Accelerators to hand out, from the inventory; a gang sees only what it was given of them.
        clock: Where the times of events come from.

    Raises:
        UsageError: A core that this process may not use.
        UnavailableError: Not on Linux.
    """

    name = "local"
    inherits_descriptors = True

    def __init__(
        self, root: Path, cores: Sequence[int] | None = None, *, accelerators: Sequence[Device] = (), clock: Clock | None = None
    ) -> None:
        if sys.platform != "linux":
            raise UnavailableError("the local engine needs Linux", seen=sys.platform, next_step="use the simulated engine")
        usable = usable_cores()
        slots = tuple(usable if cores is None else cores)
        if not slots or not set(slots) <= set(usable):
            raise UsageError("not cores of this process", seen=list(slots), expected=f"some of {list(usable)}")
        self._root = Path(root)
        self._root.mkdir(parents=True, exist_ok=True)
        self._node = this_node(slots, accelerators)
        self._accelerators = tuple(accelerators)
        self._slots = Slots(slots, core_numa_nodes(), self._node.memory_bytes, accelerators)
        self._clock = clock or SystemClock()
        self._changed = threading.Condition()
        self._gangs: dict[str, _Submitted] = {}
        self._is_closed = False

    def submit(self, gang: Gang, part: GangPart | None = None) -> GangHandle:
        """See `Engine.submit`. Returns when every keeper is started; `started` events follow in some 20 ms.

        Args:
            gang: The tasks to start here.
            part: Where these tasks stand in a larger gang. The handle, events and status count them from 0 all the same.

        Raises:
            ResourcesError: More is asked than the engine has, or than is free now.
            UsageError: The gang cannot be run, a descriptor is not open, or the engine is closed.
            UnavailableError: The machine refused a process or a file.
        """
        check_gang(gang)
        _check_descriptors(gang)
        with self._changed:
            if self._is_closed:
                raise UsageError("the engine is closed", next_step="open another one")
            reservations = [reservation for _, reservation in reserve_gang(gang, self._machines_for(gang))]
            try:
                return self._start(gang, reservations, part)
            except BaseException as error:
                for reservation in reservations:
                    self._slots.release(reservation)
                if isinstance(error, OSError):
                    raise _machine_refused(gang, error) from error
                raise

    def status(self, handle: GangHandle) -> GangStatus:
        """See `Engine.status`."""
        with self._changed:
            return self._find(handle).gang.record.status()

    def events(self, handle: GangHandle, after: int = 0, wait_s: float = 0.0) -> tuple[TaskEvent, ...]:
        """See `Engine.events`."""
        with self._changed:
            record = self._find(handle).gang.record
            self._changed.wait_for(lambda: record.num_events > after or record.is_final, wait_s)
            return record.events(after)

    def wait(self, handle: GangHandle, timeout_s: float | None = None) -> GangStatus:
        """See `Engine.wait`."""
        with self._changed:
            record = self._find(handle).gang.record
            self._changed.wait_for(lambda: record.is_final, timeout_s)
            return record.status()

    def cancel(self, handle: GangHandle, grace_s: float = 5.0) -> None:
        """See `Engine.cancel`; SIGTERM goes to the task's own process, SIGKILL to all that descends from it.

        Raises:
            UnavailableError: A process survived SIGKILL: a driver or a file system holds it.
        """
        with self._changed:
            gang = self._find(handle).gang
        gang.cancel(grace_s)
        self._wait_gone([gang], grace_s)

    def logs(self, handle: GangHandle, rank: int) -> str:
        """See `Engine.logs`."""
        with self._changed:
            submitted = self._find(handle)
            submitted.gang.record.task(rank)
        with log_path(submitted.directory, rank).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _MAX_LOG_BYTES))
            return file.read().decode(errors="replace")

    def resources(self) -> tuple[Node, ...]:
        """This machine as one node; a core is listed as often as it may be taken. Label `excluded` tells what was left out."""
        with self._changed:
            return (self._node,)

    def statistics(self) -> EngineStatistics:
        """See `Engine.statistics`."""
        with self._changed:
            return statistics_of([submitted.gang.record for submitted in self._gangs.values()])

    def close(self) -> None:
        """Cancel what runs and wait until it is gone; logs, events and status stay readable."""
        with self._changed:
            self._is_closed = True
            gangs = [submitted.gang for submitted in self._gangs.values()]
        for gang in gangs:
            gang.cancel(CLOSE_GRACE_S)
        self._wait_gone(gangs, CLOSE_GRACE_S)

    def kill(self, handle: GangHandle, rank: int, signal: int) -> None:
        """See `FaultInjection.kill`."""
        with self._changed:
            gang = self._find(handle).gang
        gang.signal(rank, signal)

    def exclude(self, node_id: str, cores: tuple[int, ...], reason: str) -> None:
        """See `CanExclude.exclude`. Each mention takes out one slot: all of a core, unless the core was listed twice.

        Raises:
            NotFoundError: Not this node, or not a slot that is still in.
        """
        with self._changed:
            if node_id != self._node.id:
                raise NotFoundError(f"no node '{node_id}'", expected=self._node.id)
            self._slots.exclude(cores)
            told = [self._node.labels.get("excluded", ""), *(f"core {core}: {reason}" for core in cores)]
            self._node = replace(self._node, labels={**self._node.labels, "excluded": "; ".join(filter(None, told))})

    def _machines_for(self, gang: Gang) -> list[Slots]:
        return [self._slots] if gang.node_labels.items() <= self._node.labels.items() else []

    def _start(self, gang: Gang, reservations: Sequence[Reservation], part: GangPart | None) -> GangHandle:
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
                    reservation=reservations[index],
                    rendezvous=part.rendezvous,
                    directory=directory,
                    owned_accelerators=self._accelerators,
                )
                processes.append(start_task(launch))
        except BaseException:
            rendezvous.close()
            for process in processes:
                process.close()  # end of file: its keeper ends what it may have started
            shutil.rmtree(directory, ignore_errors=True)
            raise
        local = LocalGang(
            GangRecord(gang.name, tuple(self._waiting(rank, item) for rank, item in enumerate(reservations))),
            processes,
            changed=self._changed,
            clock=self._clock,
            heartbeat_timeout_s=gang.heartbeat_timeout_s,
            rendezvous=rendezvous,
            on_task_end=lambda rank: self._slots.release(reservations[rank]),
        )
        self._gangs[directory.name] = _Submitted(gang=local, directory=directory)
        local.start_watching()
        return GangHandle(id=directory.name, name=gang.name, num_tasks=len(gang.tasks))

    def _waiting(self, rank: int, reservation: Reservation) -> TaskStatus:
        return TaskStatus(
            rank=rank,
            state=TaskState.WAITING,
            node=self._node.id,
            cores=reservation.cores,
            devices=tuple(device.id for device in reservation.devices),
        )

    def _find(self, handle: GangHandle) -> _Submitted:
        try:
            return self._gangs[handle.id]
        except KeyError:
            raise NotFoundError(
                f"no gang '{handle.id}' in this engine", expected=", ".join(self._gangs) or "none yet"
            ) from None

    def _wait_gone(self, gangs: Sequence[LocalGang], grace_s: float) -> None:
        for gang in gangs:
            if not gang.wait_gone(grace_s + _UNKILLABLE_S):
                raise UnavailableError(
                    f"gang '{gang.record.name}' has a process that SIGKILL does not end",
                    seen=f"alive {grace_s + _UNKILLABLE_S:.0f} s after the request",
                    next_step="see its state with ps (D is a driver or file system that hangs)",
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
                raise UsageError(f"rank {rank}: descriptor '{name}' is not open", seen=f"{fd}: {error.strerror}") from error
