"""Gangs on a Ray cluster.

    engine (driver) --placement group--> Ray: which node carries which task, or none of them
           |--------one poll a node and gang--> NodeAgent (actor, one a node) --> keeper --> task

The driver keeps the gang's record, fed by the agents' events. A node that is lost takes its agent with it: Ray says so,
and every task of the gang there ends with `node-lost`. Two engines on one cluster share Ray's count of cores, but each
agent hands out core ids by itself, so their tasks may be pinned to the same cores.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bedplate.core.clock import Clock, SystemClock
from bedplate.core.devices import Node
from bedplate.core.errors import BedplateError, NotFoundError, ResourcesError, UnavailableError, UsageError
from bedplate.core.workload import ExitCause, Gang, GangStatus, Task, TaskEvent, TaskEventKind, TaskState, TaskStatus
from bedplate.engines.base import EngineStatistics, GangHandle
from bedplate.engines.local.engine import CLOSE_GRACE_S, GangPart
from bedplate.engines.local.launch import import_path, log_path, new_directory
from bedplate.engines.ray.cluster import NODE_LABEL, LocalRayCluster
from bedplate.engines.record import GangRecord, check_gang, statistics_of

_POLL_S = 1.0
"""One poll of an agent waits this long for something to report."""
_PLACEMENT_S = 1.0
"""Ray answers in milliseconds when a gang fits; not within this time means that it does not fit now."""
_ANSWER_S = 30.0
"""What an agent may take to answer a call that does not wait."""
_NODE_LOSS_S = 20.0
"""Ray may place on a dead node until it knows; a gang that met one is placed again for this long."""
_RETRY_S = 0.2
_MAX_CONCURRENT_CALLS = 64
"""Threads of an agent: polls of gangs, and calls beside them."""


class _NodeLostError(UnavailableError):
    """The agent that was asked is gone, and its node with it."""


@dataclass(slots=True, kw_only=True)
class _Part:
    """The tasks of a gang on one node."""

    agent: Any
    node_id: str
    handle: GangHandle
    ranks: tuple[int, ...]
    seen: int = 0
    is_over: bool = False


@dataclass(slots=True, kw_only=True)
class _Submitted:
    record: GangRecord
    directory: Path
    """Where the logs of its tasks are kept once they have ended."""
    placement: Any
    parts: list[_Part]
    rendezvous_node: str
    rendezvous: str
    watch: threading.Thread | None = None
    is_cancelled: bool = False
    ranks: dict[int, tuple[_Part, int]] = field(default_factory=dict)
    """Rank -> its part and its place in it."""


class RayEngine:
    """The engine of a Ray cluster. Implements FaultInjection, CanExclude and CanLoseNodes (on a cluster it was given).

    Args:
        root: Logs and scratch directories go here, on every node.
        address: `host:port` of a running cluster, or `auto`. None: that of `cluster`.
        cluster: A local cluster that this engine may hurt and closes with itself.
        clock: Where the times of events come from that the engine itself finds.

    Raises:
        UnavailableError: Ray is not installed, or no cluster answers at the address.
    """

    name = "ray"

    def __init__(
        self, root: Path, address: str | None = None, *, cluster: LocalRayCluster | None = None, clock: Clock | None = None
    ) -> None:
        self._root = Path(root).resolve()
        self._root.mkdir(parents=True, exist_ok=True)
        self._clock = clock or SystemClock()
        self._cluster = cluster
        self._ray = _connect(address or (cluster.address if cluster else "auto"))
        self._changed = threading.Condition()
        self._gangs: dict[str, _Submitted] = {}
        self._agents: dict[str, Any] = {}
        self._nodes: dict[str, Mapping[str, Any]] = {}
        self._excluded: list[Any] = []
        self._is_closed = False
        self._find_nodes()

    def submit(self, gang: Gang) -> GangHandle:
        """See `Engine.submit`.

        Raises:
            ResourcesError: More is asked than the cluster has, or than is free now.
            UsageError: The gang cannot be run, or wants inherited descriptors: they cannot cross machines.
        """
        check_gang(gang)
        _check_ray(gang)
        with self._changed:
            if self._is_closed:
                raise UsageError("the engine is closed", next_step="open another one")
            deadline_s = time.monotonic() + _NODE_LOSS_S
            while True:
                self._find_nodes()
                placement = self._place(gang)
                try:
                    return self._start(gang, placement)
                except _NodeLostError:
                    self._remove_placement(placement)
                    if time.monotonic() > deadline_s:
                        raise
                    time.sleep(_RETRY_S)
                except BaseException:
                    self._remove_placement(placement)
                    raise

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
        """See `Engine.cancel`; nodes that are gone have nothing left to cancel."""
        with self._changed:
            submitted = self._find(handle)
            submitted.is_cancelled = True
            parts = [part for part in submitted.parts if not part.is_over]
        calls = [part.agent.cancel.remote(part.handle, grace_s) for part in parts]
        for call in calls:
            with contextlib.suppress(_NodeLostError):
                self._answer(call, grace_s + _ANSWER_S)
        if submitted.watch is not None:
            submitted.watch.join()

    def logs(self, handle: GangHandle, rank: int) -> str:
        """See `Engine.logs`.

        Raises:
            UnavailableError: The node that has the log is gone.
        """
        with self._changed:
            kept = log_path(self._find(handle).directory, rank)
        if kept.exists():
            return kept.read_text(errors="replace")
        agent, part, index = self._task_of(handle, rank)
        return str(self._answer(agent.logs.remote(part.handle, index)))

    def resources(self) -> tuple[Node, ...]:
        """Nodes that are alive; ids are the `bedplate-node` label, or Ray's node id where there is none."""
        with self._changed:
            self._find_nodes()
            calls = {node_id: self._agent(node_id).describe.remote() for node_id in self._nodes}
        nodes = []
        for node_id, call in calls.items():
            with contextlib.suppress(_NodeLostError):
                node = self._answer(call)
                labels = {**node.labels, **(self._nodes[node_id].get("Labels") or {})}
                nodes.append(replace(node, id=self._name_of(node_id), labels=labels))
        return tuple(sorted(nodes, key=lambda node: node.id))

    def statistics(self) -> EngineStatistics:
        """See `Engine.statistics`."""
        with self._changed:
            return statistics_of([submitted.record for submitted in self._gangs.values()])

    def close(self) -> None:
        """Cancel what runs, end the agents, leave the cluster; a local cluster it was given is left to its owner."""
        with self._changed:
            was_closed, self._is_closed = self._is_closed, True
            running = [key for key, submitted in self._gangs.items() if not submitted.record.is_final]
        if was_closed:
            return
        for key in running:
            self.cancel(GangHandle(id=key, name=key, num_tasks=0), CLOSE_GRACE_S)
        closing = [agent.close.remote() for agent in self._agents.values()]
        for call in closing:
            with contextlib.suppress(_NodeLostError):
                self._answer(call)
        for agent in self._agents.values():
            self._ray.kill(agent)
        for placement in self._excluded:
            self._remove_placement(placement)

    def kill(self, handle: GangHandle, rank: int, signal: int) -> None:
        """See `FaultInjection.kill`; goes through the agent of the task's node."""
        agent, part, index = self._task_of(handle, rank)
        self._answer(agent.kill.remote(part.handle, index, signal))

    def exclude(self, node_id: str, cores: tuple[int, ...], reason: str) -> None:
        """See `CanExclude.exclude`; Ray is told by a reservation that keeps as many cores of the node taken.

        Raises:
            NotFoundError: No such node, or not one of its slots.
        """
        from ray.util.placement_group import placement_group

        with self._changed:
            ray_id = next((key for key in self._nodes if self._name_of(key) == node_id), None)
            if ray_id is None:
                raise NotFoundError(f"no node '{node_id}'", expected=", ".join(map(self._name_of, self._nodes)))
            self._answer(self._agent(ray_id).exclude.remote(cores, reason))
            held = placement_group([{"CPU": len(cores)}], bundle_label_selector=[{"ray.io/node-id": ray_id}])
            self._excluded.append(held)

    def remove_node(self, node_id: str) -> None:
        """See `CanLoseNodes.remove_node`.

        Raises:
            UnavailableError: The cluster is not one that this engine was given to hurt.
        """
        if self._cluster is None:
            raise UnavailableError("only a local cluster can be made to lose a node", next_step="open the engine on one")
        self._cluster.remove_node(node_id)

    def _find_nodes(self) -> None:
        """See which nodes are alive; the agents of those that are gone are forgotten."""
        self._nodes = {node["NodeID"]: node for node in self._ray.nodes() if node["Alive"] and node["Resources"].get("CPU")}
        self._agents = {node_id: agent for node_id, agent in self._agents.items() if node_id in self._nodes}

    def _agent(self, node_id: str) -> Any:
        """The agent of a node, started at its first use; None when the node is gone."""
        if node_id not in self._agents and node_id in self._nodes:
            self._agents[node_id] = self._start_agent(node_id, self._nodes[node_id])
        return self._agents.get(node_id)

    def _start_agent(self, node_id: str, node: Mapping[str, Any]) -> Any:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        from bedplate.engines.ray.agent import NodeAgent

        actor = self._ray.remote(NodeAgent).options(
            num_cpus=0,
            max_concurrency=_MAX_CONCURRENT_CALLS,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node_id, soft=False),
        )
        return actor.remote(str(self._root / self._name_of(node_id)), int(node["Resources"]["CPU"]), node["NodeManagerAddress"])

    def _place(self, gang: Gang) -> Any:
        from ray.util.placement_group import placement_group

        bundles = [_bundle(task) for task in gang.tasks]
        selectors = [dict(gang.node_labels)] * len(bundles) if gang.node_labels else None
        placement = placement_group(bundles, strategy="PACK", bundle_label_selector=selectors)
        if placement.wait(_PLACEMENT_S):
            return placement
        self._remove_placement(placement)
        free, total = self._ray.available_resources(), self._ray.cluster_resources()
        raise ResourcesError(
            f"gang '{gang.name}' does not fit: its {len(bundles)} tasks ask for {sum(item['CPU'] for item in bundles)} cores",
            seen=f"free: {free.get('CPU', 0):g} of {total.get('CPU', 0):g} cores on {len(self._nodes)} nodes",
            expected=f"all tasks at once{f', on nodes with {dict(gang.node_labels)}' if gang.node_labels else ''}",
            next_step="wait for other gangs to end, ask for less, or add nodes",
        )

    def _start(self, gang: Gang, placement: Any) -> GangHandle:
        from ray.util.placement_group import placement_group_table

        chosen = placement_group_table(placement)["bundles_to_node_id"]
        node_of = {int(index): str(node_id) for index, node_id in chosen.items()}
        rendezvous = self._answer(self._agent(node_of[0]).hold_rendezvous.remote())
        calls = {}
        for node_id in dict.fromkeys(node_of[rank] for rank in range(len(gang.tasks))):
            ranks = tuple(rank for rank in range(len(gang.tasks)) if node_of[rank] == node_id)
            part = GangPart(ranks=ranks, world_size=len(gang.tasks), rendezvous=rendezvous)
            tasks = replace(gang, tasks=tuple(gang.tasks[rank] for rank in ranks), node_labels={})
            calls[node_id] = (ranks, self._agent(node_id).submit.remote(tasks, part))
        parts, statuses = self._collect(calls)
        directory = new_directory(self._root, gang.name)
        key = directory.name
        submitted = _Submitted(
            directory=directory,
            record=GangRecord(gang.name, tuple(statuses[rank] for rank in sorted(statuses))),
            placement=placement,
            parts=parts,
            rendezvous_node=node_of[0],
            rendezvous=rendezvous,
        )
        submitted.ranks = {rank: (part, index) for part in parts for index, rank in enumerate(part.ranks)}
        self._gangs[key] = submitted
        submitted.watch = threading.Thread(target=self._watch, args=(submitted,), name=f"watch-{key}", daemon=True)
        submitted.watch.start()
        return GangHandle(id=key, name=gang.name, num_tasks=len(gang.tasks))

    def _collect(self, calls: Mapping[str, tuple[tuple[int, ...], Any]]) -> tuple[list[_Part], dict[int, TaskStatus]]:
        """Parts that were started; when one could not be, all are ended and the first error is raised."""
        parts: list[_Part] = []
        statuses: dict[int, TaskStatus] = {}
        failure: BaseException | None = None
        for node_id, (ranks, call) in calls.items():
            try:
                handle, cores = self._answer(call)
            except BedplateError as error:
                failure = failure or error
                continue
            parts.append(_Part(agent=self._agents[node_id], node_id=node_id, handle=handle, ranks=ranks))
            for rank, own in zip(ranks, cores, strict=True):
                statuses[rank] = TaskStatus(rank=rank, state=TaskState.WAITING, node=self._name_of(node_id), cores=own)
        if failure is not None:
            for part in parts:
                with contextlib.suppress(_NodeLostError):
                    self._answer(part.agent.cancel.remote(part.handle, 0.0))
            raise failure
        return parts, statuses

    def _watch(self, submitted: _Submitted) -> None:
        polls = {self._poll(part): part for part in submitted.parts}
        while polls:
            ready, _ = self._ray.wait(list(polls), num_returns=1)
            part = polls.pop(ready[0])
            try:
                events, heard = self._answer(ready[0])
                self._keep_logs(submitted, part, events)
            except _NodeLostError:
                with self._changed:
                    self._lose(submitted.record, part)
                    self._changed.notify_all()
                continue
            with self._changed:
                self._take(submitted.record, part, events, heard)
                self._changed.notify_all()
            if not part.is_over:
                polls[self._poll(part)] = part
        self._remove_placement(submitted.placement)
        if agent := self._agents.get(submitted.rendezvous_node):
            agent.release_rendezvous.remote(submitted.rendezvous)

    def _poll(self, part: _Part) -> Any:
        return part.agent.events.remote(part.handle, part.seen, _POLL_S)

    def _keep_logs(self, submitted: _Submitted, part: _Part, events: Sequence[TaskEvent]) -> None:
        """Copy the log of each task that has ended before its end is known: then it can be read whatever follows."""
        for index in (event.rank for event in events if event.kind is TaskEventKind.EXITED):
            log = str(self._answer(part.agent.logs.remote(part.handle, index)))
            log_path(submitted.directory, part.ranks[index]).write_text(log)

    def _take(self, record: GangRecord, part: _Part, events: Sequence[TaskEvent], heard: Sequence[float | None]) -> None:
        for event in events:
            part.seen = event.sequence + 1
            _repeat(record, event, part.ranks[event.rank])
        for rank, heard_s in zip(part.ranks, heard, strict=True):
            if heard_s is not None and not record.task(rank).state.is_final:
                record.heard(rank, heard_s)
        part.is_over = all(record.task(rank).state.is_final for rank in part.ranks)

    def _lose(self, record: GangRecord, part: _Part) -> None:
        for rank in part.ranks:
            if not record.task(rank).state.is_final:
                at_s = self._clock.now()
                record.node_lost(rank, at_s)
                message = f"node {record.task(rank).node} went away"
                record.exited(rank, at_s, exit_code=None, cause=ExitCause.NODE_LOST, message=message)
        part.is_over = True

    def _answer(self, call: Any, timeout_s: float = _ANSWER_S) -> Any:
        """What an agent answers.

        Raises:
            _NodeLostError: The agent is gone.
            BedplateError: The agent's own error.
        """
        from ray.exceptions import RayActorError, RayTaskError

        try:
            return self._ray.get(call, timeout=timeout_s)
        except RayTaskError as error:
            if isinstance(error.cause, BedplateError):
                raise error.cause from error
            raise
        except RayActorError as error:
            raise _NodeLostError(
                "a node of the cluster went away", seen=error, next_step="submit again, or add nodes"
            ) from error

    def _find(self, handle: GangHandle) -> _Submitted:
        try:
            return self._gangs[handle.id]
        except KeyError:
            raise NotFoundError(
                f"no gang '{handle.id}' in this engine", expected=", ".join(self._gangs) or "none yet"
            ) from None

    def _task_of(self, handle: GangHandle, rank: int) -> tuple[Any, _Part, int]:
        with self._changed:
            submitted = self._find(handle)
            submitted.record.task(rank)
            part, index = submitted.ranks[rank]
            return part.agent, part, index

    def _name_of(self, node_id: str) -> str:
        labels: Mapping[str, str] = self._nodes.get(node_id, {}).get("Labels") or {}
        return labels.get(NODE_LABEL, node_id)

    def _remove_placement(self, placement: Any) -> None:
        from ray.util.placement_group import remove_placement_group

        remove_placement_group(placement)


def _connect(address: str) -> Any:
    import logging
    import os

    try:
        import ray
    except ImportError as error:
        raise UnavailableError("Ray is not installed", seen=error, next_step="pip install 'bedplate[ray]'") from error
    if ray.is_initialized():
        return ray
    path = os.pathsep.join(import_path())
    try:
        ray.init(
            address=address,
            namespace="bedplate",
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"env_vars": {"PYTHONPATH": path}} if path else None,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UnavailableError(
            "no Ray cluster answers",
            seen=f"{address}: {error}",
            expected="host:port of a running cluster",
            next_step="ray status",
        ) from error
    return ray


def _check_ray(gang: Gang) -> None:
    for rank, task in enumerate(gang.tasks):
        if task.inherited:
            raise UsageError(
                f"rank {rank}: open files cannot cross machines",
                seen=", ".join(task.inherited),
                expected="a gang without inherited descriptors, or the local engine",
            )


def _bundle(task: Task) -> dict[str, float]:
    bundle: dict[str, float] = {"CPU": task.resources.cpus}
    if task.resources.accelerators:
        bundle["GPU"] = task.resources.accelerators
    if task.resources.memory_bytes:
        bundle["memory"] = task.resources.memory_bytes
    return bundle


def _repeat(record: GangRecord, event: TaskEvent, rank: int) -> None:
    """Enter an agent's event into the gang's own record under the rank that the task has there."""
    attributes: Any = event.attributes
    if event.kind is TaskEventKind.STARTED:
        record.started(rank, event.at_s, attributes["pid"])
    elif event.kind is TaskEventKind.PROGRESS:
        record.progress(rank, event.at_s, attributes)
    elif event.kind is TaskEventKind.EXITED:
        cause = ExitCause(attributes["cause"])
        record.exited(
            rank,
            event.at_s,
            exit_code=attributes["exit_code"],
            cause=cause,
            message=attributes["message"],
            result=attributes["result"],
        )


def open_engine(root: Path, address: str = "auto") -> RayEngine:
    """Connect to the cluster at `address` (`host:port` or `auto`)."""
    return RayEngine(root, address)
