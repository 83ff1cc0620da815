"""This process as a driver of a Ray cluster: which nodes there are, and one agent on each.

Ray allows one connection per process. A transport may serve several engines, in turn or at the same time: starting an
agent costs two seconds of Python and Ray imports, opening an engine on it a millisecond. When this process goes, Ray ends the
agents of its job, and the keepers end their tasks.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bedplate.core.errors import AgentLostError, UnavailableError, UsageError
from bedplate.core.implements import implements
from bedplate.core.workload import Gang, Placement
from bedplate.engines.ray.address import check_cluster, no_cluster
from bedplate.engines.ray.cluster import NODE_LABEL, LocalRayCluster
from bedplate.engines.ray.placement import RayReservation, hold_back, place
from bedplate.engines.remote.transport import ANSWER_S, Accelerators, Agent, Call, RemoteNode, Transport

_SPARE_CALLS = 16
"""Threads of an agent in addition to one per core: each gang of a node has one poll under way there, and at least one core."""
_LOOK_EVERY_S = 0.1
_ACCELERATORS = ("GPU", "NPU", "TPU", "HPU")
_MODEL_PREFIX = "accelerator_type:"


class RayTransport:
    """The way to the nodes of one Ray cluster, until `close`; see `engines/remote/transport.py`.

    Args:
        address: `host:port` of a running cluster, or `auto`.
        node_reader: Function by which each agent reads its machine; see `engines/node_reader.py`.
        cluster: The local cluster that this is, if it is one: its nodes can import what this process can.

    Raises:
        UnavailableError: Ray is not installed, or no cluster answers at the address.
        UsageError: This process is in another cluster already.
    """

    name = "ray"
    hidden_packages: tuple[str, ...] = ("ray",)

    def __init__(self, address: str = "auto", *, node_reader: str, cluster: LocalRayCluster | None = None) -> None:
        self.node_reader = node_reader
        self._cluster = cluster
        self.ray = _connect(cluster.address if cluster else address, is_known=cluster is not None)
        self._lock = threading.Lock()
        self._agents: dict[str, Any] = {}

    def nodes(self) -> dict[str, RemoteNode]:
        """Nodes that are alive and have cores, by Ray's id."""
        alive = [node for node in self.ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
        return {node["NodeID"]: _read_node(node) for node in alive}

    def agent(self, node: RemoteNode) -> Agent:
        """The agent of a node, started at its first use."""
        with self._lock:
            if node.id not in self._agents:
                self._agents[node.id] = self._start_agent(node)
            return self._agents[node.id]

    def forget(self, agent: Agent) -> None:
        """The agent was found gone: the next use of its node, if that is alive, starts another."""
        with self._lock:
            self._agents = {node_id: kept for node_id, kept in self._agents.items() if kept is not agent}

    @implements(Transport)
    def call(self, agent: Agent, request: bytes) -> Call:
        return agent.serve.remote(request)

    @implements(Transport)
    def ready(self, calls: Sequence[Call], timeout_s: float) -> Sequence[Call]:
        ready, _ = self.ray.wait(list(calls), num_returns=1, timeout=timeout_s)
        return list(ready)

    def reserve(self, gang: Gang, placement: Placement | None, held: Mapping[str, int]) -> RayReservation:
        """See `Transport.reserve`: a placement group."""
        return place(gang, self.nodes(), held, placement)

    @implements(Transport)
    def hold_back(self, node: RemoteNode, num_cores: int) -> RayReservation:
        return hold_back(node, num_cores)

    @implements(Transport)
    def answer(self, call: Call, timeout_s: float = ANSWER_S) -> bytes:
        from ray.exceptions import ActorUnavailableError, GetTimeoutError, RayActorError, RayTaskError

        try:
            answer: bytes = self.ray.get(call, timeout=timeout_s)
            return answer
        except RayTaskError as error:
            raise UnavailableError(
                "a node's agent raised an unexpected error", seen=error, next_step="see the logs of Ray on its node"
            ) from error
        except (ActorUnavailableError, GetTimeoutError) as error:
            raise UnavailableError(
                "a node's agent did not answer",
                seen=error,
                expected=f"within {timeout_s:g} s",
                next_step="check the cluster: ray status",
            ) from error
        except RayActorError as error:
            raise AgentLostError(
                "a node of the cluster went away", seen=error, next_step="submit again, or add nodes"
            ) from error

    def remove_node(self, name: str, deadline_s: float = 60.0) -> None:
        """Kill a node of the local cluster; returns when Ray no longer counts it.

        Raises:
            UnavailableError: Not a local cluster, or Ray still counts the node after `deadline_s`.
        """
        if self._cluster is None:
            raise UnavailableError("only a local cluster can be made to lose a node", next_step="open the engine on one")
        self._cluster.remove_node(name)
        until_s = time.monotonic() + deadline_s
        while any(node.name == name for node in self.nodes().values()):
            if time.monotonic() > until_s:
                raise UnavailableError(f"Ray still counts the node '{name}' after {deadline_s:g} s", next_step="ray status")
            time.sleep(_LOOK_EVERY_S)

    def close(self) -> None:
        """Leave the cluster: Ray ends the agents and all that this process has reserved. Calling it twice is fine."""
        with self._lock:
            agents, self._agents = list(self._agents.values()), {}
        if self.ray.is_initialized():
            for agent in agents:
                self.ray.kill(agent)
            self.ray.shutdown()
            _let_ray_print(True)

    def _start_agent(self, node: RemoteNode) -> Any:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        from bedplate.engines.remote.agent import NodeAgent

        actor = self.ray.remote(NodeAgent).options(
            num_cpus=0,
            max_concurrency=node.num_cores + _SPARE_CALLS,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False),
        )
        return actor.remote()


def _read_node(node: Mapping[str, Any]) -> RemoteNode:
    labels: Mapping[str, str] = node.get("Labels") or {}
    return RemoteNode(
        id=node["NodeID"],
        name=labels.get(NODE_LABEL, node["NodeID"]),
        host=node["NodeManagerAddress"],
        num_cores=int(node["Resources"]["CPU"]),
        labels=labels,
        accelerators=tuple(_accelerators(node["Resources"])),
    )


def _accelerators(resources: Mapping[str, float]) -> Iterator[Accelerators]:
    """Ray counts accelerators of all models of a kind together, and names the model in a resource of its own.

    Source: https://docs.ray.io/en/latest/ray-core/scheduling/accelerators.html
    """
    models = [name.removeprefix(_MODEL_PREFIX) for name in resources if name.startswith(_MODEL_PREFIX)]
    for name in _ACCELERATORS:
        if count := int(resources.get(name, 0)):
            yield Accelerators(resource=name, model=models[0] if models else name, count=count)


def check_installed() -> None:
    """Raise UnavailableError where Ray is not installed."""
    try:
        import ray  # noqa: F401
    except ImportError as error:
        raise UnavailableError("Ray is not installed", seen=error, next_step="pip install 'bedplate[ray]'") from error


def _connect(address: str, *, is_known: bool) -> Any:
    check_installed()
    import ray

    if ray.is_initialized():
        raise UsageError(
            "this process is in a Ray cluster already",
            seen=ray.get_runtime_context().gcs_address,
            expected="one connection per process",
            next_step="close the engine that is open, or give its transport to the new one",
        )
    if not is_known:
        check_cluster(address)
    try:
        ray.init(
            address=address,
            namespace="bedplate",
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise no_cluster(address, error) from error
    _let_ray_print(False)
    return ray


def _let_ray_print(allowed: bool) -> None:
    """Ray's driver prints raylets' warnings on stdout regardless of `log_to_driver`; only its debugger can stop it.

    Stdout is where `-o json` goes, and the loss of a node is reported as an event.
    """
    import ray

    ray._private.worker._worker_logs_enabled = allowed
