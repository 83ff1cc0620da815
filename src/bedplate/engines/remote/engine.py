"""Gangs on a cluster of machines, over a transport.

    engine (driver) --reserve--> cluster manager: which node carries which task, or none of them
           |--------one call for events per node, gang--> NodeAgent (one per node) --> keeper --> task

The driver keeps the gang's record, fed by the agents' events. A gang holds its cores until its last task has ended: a
reservation is freed as one. Engines share the manager's count of cores, but each hands out core ids by itself, so tasks of two
engines on one node may be pinned to the same core while another is idle; a scheduler that gives placements avoids that.
"""

from __future__ import annotations

import contextlib
import shutil
import time
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bedplate.core.allocation import NodeAllocation
from bedplate.core.clock import Clock, SystemClock
from bedplate.core.devices import Exclusion, Node
from bedplate.core.errors import AgentLostError, NotFoundError
from bedplate.core.workload import Gang, GangHandle, Placement, Resources, TaskPlacement
from bedplate.engines.base import NodeReport
from bedplate.engines.default_placement import default_placement
from bedplate.engines.ledger import NodeLedger, check_placement
from bedplate.engines.local.files import new_directory
from bedplate.engines.recorded import RecordedEngine
from bedplate.engines.remote.answers import Described
from bedplate.engines.remote.gang import RemoteGang
from bedplate.engines.remote.orders import Describe, ReleaseRendezvous
from bedplate.engines.remote.sessions import EngineSessions
from bedplate.engines.remote.start import StartedParts, start_parts
from bedplate.engines.remote.survey import survey
from bedplate.engines.remote.transport import RemoteNode, Reservation, Transport

_NODE_LOSS_S = 20.0
"""The manager may place on a dead node until it knows; a gang that met one is placed again for this long."""
_RETRY_S = 0.2


class RemoteEngine(RecordedEngine[RemoteGang]):
    """The engine of a cluster. Implements FaultInjection, CanExclude, CanSurvey and, where the cluster is ours, CanLoseNodes.

    Args:
        root: Logs and scratch directories go here, under the same path on every node.
        transport: The way to the cluster. Engines may share it.
        owned: What is closed with the engine, after it: the transport, where it is this engine's alone.
        clock: Where the times of events come from that the engine itself finds.
        only: What of the nodes it may use; all of them where nothing is named.
    """

    def __init__(
        self,
        root: Path,
        transport: Transport,
        *,
        owned: contextlib.ExitStack | None = None,
        clock: Clock | None = None,
        only: Sequence[NodeAllocation] = (),
    ) -> None:
        super().__init__()
        self._root = Path(root).resolve()
        self._root.mkdir(parents=True, exist_ok=True)
        self.name = transport.name
        self._transport = transport
        self._clock = clock or SystemClock()
        self._owned = owned or contextlib.ExitStack()
        self._only = {part.node: part for part in only}
        self._sessions = EngineSessions(uuid.uuid4().hex, self._root, transport, self._only)
        self._conversation = self._sessions.conversation

    def resources(self) -> tuple[Node, ...]:
        """Nodes that are alive, by name: the name that the transport gives them."""
        with self._placing:
            nodes = self._nodes()
            agents = self._sessions.open(nodes.values())
        calls = [(nodes[node_id], agent, self._conversation.order(agent, Describe())) for node_id, agent in agents.items()]
        described = []
        for node, agent, call in calls:
            with contextlib.suppress(AgentLostError):
                seen = self._conversation.answer_of(agent, call, Described).node
                described.append(replace(seen, labels={**seen.labels, **node.labels}))
        return tuple(sorted(described, key=lambda node: node.id))

    def survey(self, timeout_s: float) -> tuple[NodeReport, ...]:
        """See `CanSurvey.survey`."""
        return survey(self._transport, timeout_s)

    def kill(self, handle: GangHandle, rank: int, signal: int) -> None:
        """See `FaultInjection.kill`; goes through the agent of the task's node."""
        self._find(handle).kill(rank, signal)

    def exclude(self, node_id: str, cores: tuple[int, ...], reason: str) -> None:
        """See `CanExclude.exclude`.

        Raises:
            NotFoundError: No such node, or one of these cores is excluded already.
        """
        with self._placing:
            nodes = {node.name: node for node in self._nodes().values()}
            if node_id not in nodes:
                raise NotFoundError(f"no node '{node_id}'", expected=", ".join(sorted(nodes)))
            self._sessions.exclude(nodes[node_id], cores, reason)

    def exclusions(self) -> tuple[Exclusion, ...]:
        """See `CanExclude.exclusions`; of nodes that are alive."""
        with self._placing:
            return self._sessions.exclusions(self._nodes())

    def remove_node(self, node_id: str) -> None:
        """See `CanLoseNodes.remove_node`; returns when the cluster no longer counts it.

        Raises:
            UnavailableError: The cluster is not a local one.
        """
        self._transport.remove_node(node_id)

    def _start(self, gang: Gang, placement: Placement | None) -> RemoteGang:
        """A gang that meets a node which has just died is placed again.

        Raises:
            ResourcesError: More is asked than the cluster has, or than is free now.
            UsageError: The transport cannot give what the gang wants.
            UnavailableError: Nodes went away, or did not answer, for too long.
        """
        deadline_s = time.monotonic() + _NODE_LOSS_S
        while True:
            try:
                return self._place_and_start(gang, placement)
            except AgentLostError:
                if time.monotonic() > deadline_s:
                    raise
                time.sleep(_RETRY_S)

    def _release(self) -> None:
        with self._owned:
            self._sessions.close()

    def _place_and_start(self, gang: Gang, wanted: Placement | None) -> RemoteGang:
        nodes = self._nodes()
        if wanted is None and (self._only or any(task.resources.accelerators for task in gang.tasks)):
            wanted = self._default_placement(gang)
        if wanted is not None:
            check_placement(gang, wanted, {node.name: node.labels for node in nodes.values()})
        reservation = self._transport.reserve(gang, wanted, self._held())
        directory: Path | None = None
        try:
            chosen = reservation.node_ids
            if not set(chosen) <= nodes.keys():
                raise AgentLostError(
                    "a node of the cluster went away",
                    seen=", ".join(set(chosen) - nodes.keys()),
                    next_step="submit again, or add nodes",
                )
            directory = new_directory(self._root, gang.name)
            return self._start_on(gang, wanted, [nodes[node_id] for node_id in chosen], directory, reservation)
        except BaseException:
            reservation.release()
            if directory is not None:
                shutil.rmtree(directory, ignore_errors=True)
            raise

    def _start_on(
        self, gang: Gang, wanted: Placement | None, chosen: Sequence[RemoteNode], directory: Path, reservation: Reservation
    ) -> RemoteGang:
        agents = self._sessions.open_all({node.id: node for node in chosen}.values())
        started = start_parts(gang, wanted, chosen, agents, self._conversation)
        handle = GangHandle(id=directory.name, name=gang.name, num_tasks=len(gang.tasks))
        return RemoteGang(
            started.key,
            self._record.new(handle, started.placement),
            started.parts,
            conversation=self._conversation,
            directory=directory,
            changed=self._changed,
            clock=self._clock,
            on_end=lambda: self._give_back(started, reservation),
        )

    def _nodes(self) -> Mapping[str, RemoteNode]:
        """Nodes that are alive and that the engine may use, by the cluster manager's id."""
        nodes = self._transport.nodes()
        return {id_: node for id_, node in nodes.items() if not self._only or node.name in self._only}

    def _default_placement(self, gang: Gang) -> Placement:
        """Where the default policy puts a gang whose places the cluster manager cannot choose: it knows numbers, not ids."""
        ledgers = {node.id: NodeLedger(node) for node in self.resources()}
        with self._changed:
            running = [running.record for running in self._gangs.values() if not running.record.is_final]
            taken = [task for record in running for task in record.status().tasks if task.node in ledgers]
        for task in taken:
            place = TaskPlacement(node=task.node, cores=task.cores, devices=task.devices)
            ledgers[task.node].take(place, Resources(cpus=len(task.cores)))
        for item in self.exclusions():
            if item.node_id in ledgers:
                ledgers[item.node_id].exclude(item.cores, item.reason)
        return default_placement(gang, [ledger.free() for ledger in ledgers.values()])

    def _held(self) -> Counter[str]:
        """Cores of each node, by id, that gangs which have not ended and exclusions hold."""
        held = self._sessions.num_excluded()
        with self._changed:
            for gang in self._gangs.values():
                if not gang.record.is_final:
                    for part in gang.parts:
                        held[part.node.id] += sum(len(gang.record.task(rank).cores) for rank in part.ranks)
        return held

    def _give_back(self, started: StartedParts, reservation: Reservation) -> None:
        reservation.release()
        self._conversation.order(started.parts[0].agent, ReleaseRendezvous(key=started.key))
