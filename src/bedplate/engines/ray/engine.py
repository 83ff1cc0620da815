"""Gangs on a Ray cluster.

    engine (driver) --placement group--> Ray: which node carries which task, or none of them
           |--------one call for events a node and gang--> NodeAgent (actor, one a node) --> keeper --> task

The driver keeps the gang's record, fed by the agents' events. A gang holds its cores until its last task has ended: Ray frees
a placement group as a whole. Engines share Ray's count of cores, but each hands out core ids by itself, so tasks of two engines
on one node may be pinned to the same core while another is idle.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bedplate.core.clock import Clock, SystemClock
from bedplate.core.devices import Node
from bedplate.core.errors import AgentLostError, BedplateError, NotFoundError, UnavailableError, UsageError
from bedplate.core.workload import Gang, GangStatus, TaskEvent, TaskState, TaskStatus
from bedplate.engines.base import EngineStatistics, GangHandle
from bedplate.engines.local.engine import CLOSE_GRACE_S, GangPart
from bedplate.engines.local.launch import new_directory
from bedplate.engines.ray import placement
from bedplate.engines.ray.connection import ANSWER_S, RayConnection, RayNode
from bedplate.engines.ray.gang import Part, RayGang
from bedplate.engines.ray.rooms import Rooms
from bedplate.engines.record import GangRecord, check_gang, statistics_of

_NODE_LOSS_S = 20.0
"""Ray may place on a dead node until it knows; a gang that met one is placed again for this long."""
_RETRY_S = 0.2


class RayEngine:
    """The engine of a Ray cluster. Implements FaultInjection, CanExclude and, on a local cluster, CanLoseNodes.

    Args:
        root: Logs and scratch directories go here, under the same path on every node.
        connection: The way to the cluster. Engines may share it.
        owned: What is closed with the engine, after it: the connection, where it is this engine's alone.
        clock: Where the times of events come from that the engine itself finds.
    """

    name = "ray"

    def __init__(
        self,
        root: Path,
        connection: RayConnection,
        *,
        owned: contextlib.ExitStack | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._root = Path(root).resolve()
        self._root.mkdir(parents=True, exist_ok=True)
        self._connection = connection
        self._clock = clock or SystemClock()
        self._owned = owned or contextlib.ExitStack()
        self._rooms = Rooms(uuid.uuid4().hex, self._root, connection)
        self._changed = threading.Condition()
        """Guards what is known; held for moments only."""
        self._placing = threading.Lock()
        """Held while something is placed, which may take seconds; `close` waits for it."""
        self._gangs: dict[str, RayGang] = {}
        self._is_closed = False

    def submit(self, gang: Gang) -> GangHandle:
        """See `Engine.submit`. A gang that meets a node which has just died is placed again.

        Raises:
            ResourcesError: More is asked than the cluster has, or than is free now.
            UsageError: The gang cannot be run, or wants what cannot cross machines.
            UnavailableError: Nodes went away, or did not answer, for too long.
        """
        check_gang(gang)
        placement.check_ray(gang)
        with self._placing:
            if self._is_closed:
                raise UsageError("the engine is closed", next_step="open another one")
            deadline_s = time.monotonic() + _NODE_LOSS_S
            while True:
                try:
                    return self._place_and_start(gang)
                except AgentLostError:
                    if time.monotonic() > deadline_s:
                        raise
                    time.sleep(_RETRY_S)

    def status(self, handle: GangHandle) -> GangStatus:
        """See `Engine.status`."""
        with self._changed:
            return self._find(handle).record.status()

    def events(self, handle: GangHandle, after: int = 0, wait_s: float = 0.0) -> tuple[TaskEvent, ...]:
        """See `Engine.events`."""
        with self._changed:
            record = self._find(handle).record
            self._changed.wait_for(lambda: record.num_events > after or record.is_final, wait_s)
            return record.events(after)

    def wait(self, handle: GangHandle, timeout_s: float | None = None) -> GangStatus:
        """See `Engine.wait`."""
        with self._changed:
            record = self._find(handle).record
            self._changed.wait_for(lambda: record.is_final, timeout_s)
            return record.status()

    def cancel(self, handle: GangHandle, grace_s: float = 5.0) -> None:
        """See `Engine.cancel`; nodes that are gone have nothing left to cancel.

        Raises:
            UnavailableError: A node did not say in time that its tasks are gone.
        """
        with self._changed:
            gang = self._find(handle)
        self._cancel([gang], grace_s)

    def logs(self, handle: GangHandle, rank: int) -> str:
        """See `Engine.logs`; the log of a task whose node was lost is lost with it, and the text says so."""
        with self._changed:
            gang = self._find(handle)
        return gang.logs(rank)

    def resources(self) -> tuple[Node, ...]:
        """Nodes that are alive, by name: the `bedplate-node` label, or Ray's id where there is none."""
        with self._placing:
            nodes = self._connection.nodes()
            agents = self._rooms.open(nodes.values())
        calls = [(nodes[node_id], agent, agent.describe.remote(self._rooms.key)) for node_id, agent in agents.items()]
        described = []
        for node, agent, call in calls:
            with contextlib.suppress(AgentLostError):
                seen: Node = self._rooms.ask(agent, call)
                described.append(replace(seen, id=node.name, labels={**seen.labels, **node.labels}))
        return tuple(sorted(described, key=lambda node: node.id))

    def statistics(self) -> EngineStatistics:
        """See `Engine.statistics`."""
        with self._changed:
            return statistics_of([gang.record for gang in self._gangs.values()])

    def close(self) -> None:
        """Cancel what runs, give back what was reserved; logs, events and status stay readable."""
        with self._placing:
            if self._is_closed:
                return
            self._is_closed = True
            with self._owned, contextlib.closing(self._rooms):
                self._cancel(list(self._gangs.values()), CLOSE_GRACE_S)

    def kill(self, handle: GangHandle, rank: int, signal: int) -> None:
        """See `FaultInjection.kill`; goes through the agent of the task's node."""
        with self._changed:
            gang = self._find(handle)
        gang.kill(rank, signal)

    def exclude(self, node_id: str, cores: tuple[int, ...], reason: str) -> None:
        """See `CanExclude.exclude`; Ray is told by a reservation that keeps as many cores of the node taken.

        Raises:
            NotFoundError: No such node, or not one of its slots.
        """
        with self._placing:
            nodes = {node.name: node for node in self._connection.nodes().values()}
            if node_id not in nodes:
                raise NotFoundError(f"no node '{node_id}'", expected=", ".join(sorted(nodes)))
            self._rooms.exclude(nodes[node_id], cores, reason)

    def remove_node(self, node_id: str) -> None:
        """See `CanLoseNodes.remove_node`; returns when Ray no longer counts it.

        Raises:
            UnavailableError: The cluster is not a local one.
        """
        self._connection.remove_node(node_id)

    def _place_and_start(self, gang: Gang) -> GangHandle:
        nodes = self._connection.nodes()
        group = placement.place(gang, nodes, self._held())
        directory: Path | None = None
        try:
            chosen = placement.node_ids(group)
            if not set(chosen) <= nodes.keys():
                raise AgentLostError("a node of the cluster went away", seen=", ".join(set(chosen) - nodes.keys()))
            directory = new_directory(self._root, gang.name)
            return self._start(gang, [nodes[node_id] for node_id in chosen], directory, group)
        except BaseException:
            placement.remove(group)
            if directory is not None:
                shutil.rmtree(directory, ignore_errors=True)
            raise

    def _start(self, gang: Gang, chosen: Sequence[RayNode], directory: Path, group: Any) -> GangHandle:
        key = directory.name
        nodes = {node.id: node for node in chosen}
        agents = self._rooms.open_all(nodes.values())
        try:
            rendezvous = self._rooms.ask(
                agents[chosen[0].id], agents[chosen[0].id].hold_rendezvous.remote(self._rooms.key, key)
            )
            parts = [
                Part(agent=agents[node_id], node=node, ranks=tuple(rank for rank, item in enumerate(chosen) if item is node))
                for node_id, node in nodes.items()
            ]
            statuses = self._start_parts(gang, key, parts, rendezvous)
        except BaseException:
            for agent in agents.values():
                agent.abandon.remote(self._rooms.key, key)
            raise
        running = RayGang(
            key=key,
            engine=self._rooms.key,
            record=GangRecord(gang.name, tuple(statuses[rank] for rank in sorted(statuses))),
            parts=parts,
            directory=directory,
            connection=self._connection,
            changed=self._changed,
            clock=self._clock,
            on_end=lambda: self._give_back(agents[chosen[0].id], key, group),
        )
        with self._changed:
            self._gangs[key] = running
        running.start_watching()
        return GangHandle(id=key, name=gang.name, num_tasks=len(gang.tasks))

    def _start_parts(self, gang: Gang, key: str, parts: Sequence[Part], rendezvous: str) -> dict[int, TaskStatus]:
        """Status of each task by rank; when a part cannot be started the first error is raised, once all have answered."""
        calls = []
        for part in parts:
            own = replace(gang, tasks=tuple(gang.tasks[rank] for rank in part.ranks), node_labels={})
            where = GangPart(ranks=part.ranks, world_size=len(gang.tasks), rendezvous=rendezvous)
            calls.append(part.agent.submit.remote(self._rooms.key, key, own, where))
        statuses: dict[int, TaskStatus] = {}
        failures: list[BedplateError] = []
        for part, call in zip(parts, calls, strict=True):
            try:
                cores_of = self._rooms.ask(part.agent, call)
            except BedplateError as error:
                failures.append(error)
                continue
            for rank, cores in zip(part.ranks, cores_of, strict=True):
                statuses[rank] = TaskStatus(rank=rank, state=TaskState.WAITING, node=part.node.name, cores=cores)
        if failures:
            raise failures[0]
        return statuses

    def _held(self) -> Counter[str]:
        """Cores of each node, by Ray's id, that gangs which have not ended and exclusions hold."""
        held = self._rooms.num_excluded()
        with self._changed:
            for gang in self._gangs.values():
                if not gang.record.is_final:
                    for part in gang.parts:
                        held[part.node.id] += sum(len(gang.record.task(rank).cores) for rank in part.ranks)
        return held

    def _cancel(self, gangs: Sequence[RayGang], grace_s: float) -> None:
        for call in [call for gang in gangs for call in gang.ask_to_cancel(grace_s)]:
            with contextlib.suppress(AgentLostError):
                self._connection.answer(call, grace_s + ANSWER_S)
        for gang in gangs:
            if not gang.wait_gone(grace_s + ANSWER_S):
                raise UnavailableError(f"the end of gang '{gang.record.name}' did not become known", next_step="ray status")

    def _give_back(self, agent: Any, key: str, group: Any) -> None:
        placement.remove(group)
        agent.release_rendezvous.remote(self._rooms.key, key)

    def _find(self, handle: GangHandle) -> RayGang:
        try:
            return self._gangs[handle.id]
        except KeyError:
            raise NotFoundError(
                f"no gang '{handle.id}' in this engine", expected=", ".join(self._gangs) or "none yet"
            ) from None
