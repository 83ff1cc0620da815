"""The smallest transport: agents in threads of this process, and a count of cores in place of a cluster manager.

A peer of the real one: the agents start real processes, so the whole conformance suite runs over it in seconds. What it cannot
show is what only a network and a manager of its own bring: calls that are lost on their way, and nodes that die unannounced.
"""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from bedplate.core.errors import AgentLostError, NotFoundError, ResourcesError, UnavailableError
from bedplate.core.workload import Gang, Placement
from bedplate.engines.remote.agent import NodeAgent
from bedplate.engines.remote.transport import ANSWER_S, RemoteNode


@dataclass(eq=False)
class ThreadAgent:
    """An agent, made in a thread of its own so that what it does to its thread stays there."""

    node: RemoteNode
    made: "Future[NodeAgent]"
    is_lost: bool = False


@dataclass(eq=False)
class Held:
    """Cores and accelerators that are held until they are released."""

    transport: "ThreadTransport"
    node_ids: tuple[str, ...]
    amounts: "Counter[tuple[str, str]]"

    def release(self) -> None:
        self.transport.used.subtract(self.amounts)


class ThreadTransport:
    name = "remote"
    hidden_packages: tuple[str, ...] = ()

    def __init__(self, node_reader: str, num_nodes: int = 3, num_cores: int = 2) -> None:
        self.node_reader = node_reader
        self._nodes = {
            f"id-{index}": RemoteNode(id=f"id-{index}", name=f"node-{index}", host="127.0.0.1", num_cores=num_cores, labels={})
            for index in range(num_nodes)
        }
        self._pool = ThreadPoolExecutor(max_workers=64)
        self._agents: dict[str, ThreadAgent] = {}
        self._lock = threading.Lock()
        self._agent_of: dict[Future[bytes], ThreadAgent] = {}
        self.used: Counter[tuple[str, str]] = Counter()
        """What is held, by node id and kind."""

    def nodes(self) -> Mapping[str, RemoteNode]:
        return dict(self._nodes)

    def agent(self, node: RemoteNode) -> ThreadAgent:
        with self._lock:
            if node.id not in self._agents:
                made = self._pool.submit(NodeAgent)
                self._agents[node.id] = ThreadAgent(node, made)
            return self._agents[node.id]

    def forget(self, agent: ThreadAgent) -> None:
        with self._lock:
            self._agents = {node_id: kept for node_id, kept in self._agents.items() if kept is not agent}

    def call(self, agent: ThreadAgent, request: bytes) -> "Future[bytes]":
        assert isinstance(request, bytes)
        call = self._pool.submit(lambda: agent.made.result().serve(request))
        self._agent_of[call] = agent
        return call

    def answer(self, call: "Future[bytes]", timeout_s: float = ANSWER_S) -> bytes:
        if not wait([call], timeout_s).done:
            raise UnavailableError("an agent did not answer", expected=f"within {timeout_s:g} s")
        if self._agent_of.pop(call).is_lost:
            raise AgentLostError("a node went away")
        return call.result()

    def ready(self, calls: "Sequence[Future[bytes]]", timeout_s: float) -> "Sequence[Future[bytes]]":
        return list(wait(calls, timeout_s, FIRST_COMPLETED).done)

    def reserve(self, gang: Gang, placement: Placement | None, held: Mapping[str, int]) -> Held:
        by_name = {node.name: node.id for node in self._nodes.values()}
        taken: Counter[tuple[str, str]] = Counter()
        chosen: list[str] = []
        for rank, task in enumerate(gang.tasks):
            asked = {"core": task.resources.cpus, "card": task.resources.accelerators}
            for node_id in [by_name[placement.tasks[rank].node]] if placement else list(self._nodes):
                node = self._nodes[node_id]
                free = {kind: self._free(node, kind) - taken[node_id, kind] for kind in asked}
                if gang.node_labels.items() <= node.labels.items() and all(asked[kind] <= free[kind] for kind in asked):
                    chosen.append(node_id)
                    taken.update({(node_id, kind): amount for kind, amount in asked.items()})
                    break
            else:
                raise self._refusal(gang)
        self.used.update(taken)
        return Held(self, tuple(chosen), taken)

    def hold_back(self, node: RemoteNode, num_cores: int) -> Held:
        self.used[node.id, "core"] += num_cores
        return Held(self, (), Counter({(node.id, "core"): num_cores}))

    def remove_node(self, name: str) -> None:
        lost = [node for node in self._nodes.values() if node.name == name]
        if not lost:
            raise NotFoundError(f"no node '{name}'")
        del self._nodes[lost[0].id]
        agent = self._agents.get(lost[0].id)
        if agent is not None:
            agent.is_lost = True
            agent.made.result().close()

    def close(self) -> None:
        self._pool.shutdown()

    def _free(self, node: RemoteNode, kind: str) -> int:
        return (node.num_cores if kind == "core" else 1) - self.used[node.id, kind]

    def _refusal(self, gang: Gang) -> ResourcesError:
        free = sum(self._free(node, "core") for node in self._nodes.values())
        cpus, cards = (sum(getattr(task.resources, kind) for task in gang.tasks) for kind in ("cpus", "accelerators"))
        return ResourcesError(
            f"gang '{gang.name}' does not fit: its {len(gang.tasks)} tasks ask for {cpus} cores and {cards} accelerators",
            seen=f"free: {free} cores",
        )
