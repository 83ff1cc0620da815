"""The sessions of one engine with the agents of a cluster: opened at first use, and again where an agent was replaced."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from bedplate.core.allocation import NodeAllocation
from bedplate.core.devices import Exclusion
from bedplate.core.errors import AgentLostError
from bedplate.engines.local.environment import import_path
from bedplate.engines.remote.answers import Done
from bedplate.engines.remote.conversation import Conversation
from bedplate.engines.remote.orders import CloseSession, Exclude, OpenSession
from bedplate.engines.remote.transport import AGENT_START_S, Agent, RemoteNode, Reservation, Transport


class EngineSessions:
    """Sessions of the engine `key`. Not locked: the engine serialises.

    Args:
        key: Name of the engine on every agent.
        root: Each node's logs and scratch directories go under `root/NODE` there.
        transport: The way to the agents.
        only: What of each node, by name, the engine may use; empty: everything.
    """

    def __init__(self, key: str, root: Path, transport: Transport, only: Mapping[str, NodeAllocation]) -> None:
        self.conversation = Conversation(transport, key)
        self._root = root
        self._transport = transport
        self._only = only
        self._agents: dict[str, Agent] = {}
        """Node id -> the agent that the session is with."""
        self._exclusions: dict[str, list[Exclusion]] = {}
        self._reservations: list[Reservation] = []

    def open(self, nodes: Iterable[RemoteNode]) -> dict[str, Agent]:
        """Agents with an open session, by node id; a node that is lost in between is left out."""
        nodes, opening = list(nodes), []
        for node in nodes:
            agent = self._transport.agent(node)
            if self._agents.get(node.id) is not agent:
                opening.append((node, agent, self.conversation.order(agent, self._opening(node))))
        for node, agent, call in opening:
            self._agents.pop(node.id, None)
            with contextlib.suppress(AgentLostError):
                self.conversation.answer_of(agent, call, Done, AGENT_START_S)
                self._agents[node.id] = agent
        return {node.id: self._agents[node.id] for node in nodes if node.id in self._agents}

    def open_all(self, nodes: Iterable[RemoteNode]) -> dict[str, Agent]:
        """As `open`, for nodes that are all needed.

        Raises:
            AgentLostError: One of them is lost.
        """
        nodes = list(nodes)
        agents = self.open(nodes)
        if missing := [node.name for node in nodes if node.id not in agents]:
            raise AgentLostError(f"node {', '.join(missing)} went away", next_step="submit again, or add nodes")
        return agents

    def exclude(self, node: RemoteNode, cores: tuple[int, ...], reason: str) -> None:
        """Leave cores of a node out, there and in the cluster manager's count.

        Raises:
            NotFoundError: Not cores of the node, or excluded already.
            AgentLostError: The node is lost.
        """
        agent = self.open_all([node])[node.id]
        self.conversation.ask(agent, Exclude(cores=cores, reason=reason), Done)
        exclusion = Exclusion(node_id=node.name, cores=cores, reason=reason)
        self._exclusions.setdefault(node.id, []).append(exclusion)
        self._reservations.append(self._transport.hold_back(node, len(cores)))

    def exclusions(self, nodes: Mapping[str, RemoteNode]) -> tuple[Exclusion, ...]:
        """What is left out on these nodes, which are given by id."""
        return tuple(item for node in nodes.values() for item in self._exclusions.get(node.id, ()))

    def num_excluded(self) -> Counter[str]:
        """Cores that are left out, by node id."""
        return Counter({node_id: sum(len(item.cores) for item in items) for node_id, items in self._exclusions.items()})

    def close(self) -> None:
        """End all sessions, and release what was excluded."""
        calls = [self.conversation.order(agent, CloseSession()) for agent in self._agents.values()]
        try:
            for call in calls:
                with contextlib.suppress(AgentLostError):
                    self.conversation.answer(call, Done)
        finally:
            for reservation in self._reservations:
                reservation.release()

    def _opening(self, node: RemoteNode) -> OpenSession:
        return OpenSession(
            root=str(self._root / node.name),
            node=node,
            node_reader=self._transport.node_reader,
            only=self._only.get(node.name),
            exclusions=tuple(self._exclusions.get(node.id, ())),
            driver_path=tuple(import_path()),
            hidden_packages=self._transport.hidden_packages,
        )
