"""The sessions of one engine with the agents of a cluster: opened at first use, and again where an agent was replaced."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bedplate.core.devices import Exclusion
from bedplate.core.errors import AgentLostError
from bedplate.engines.remote.transport import AGENT_START_S, ANSWER_S, Agent, Call, RemoteNode, Reservation, Transport


class EngineSessions:
    """Sessions of the engine `key`. Not locked: the engine serialises.

    Args:
        key: Name of the engine on every agent.
        root: Each node's logs and scratch directories go under `root/NODE` there.
        transport: The way to the agents.
    """

    def __init__(self, key: str, root: Path, transport: Transport) -> None:
        self.key = key
        self._root = root
        self._transport = transport
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
                exclusions = self._exclusions.get(node.id, [])
                opening.append(
                    (node, agent, self._transport.call(agent, "open", self.key, str(self._root / node.name), exclusions))
                )
        for node, agent, call in opening:
            self._agents.pop(node.id, None)
            with contextlib.suppress(AgentLostError):
                self.ask(agent, call, AGENT_START_S)
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

    def ask(self, agent: Agent, call: Call, timeout_s: float = ANSWER_S) -> Any:
        """What an agent answers; one that is found lost is forgotten. Raises as `Transport.answer`."""
        try:
            return self._transport.answer(call, timeout_s)
        except AgentLostError:
            self._transport.forget(agent)
            raise

    def exclude(self, node: RemoteNode, cores: tuple[int, ...], reason: str) -> None:
        """Leave cores of a node out, there and in the cluster manager's count.

        Raises:
            NotFoundError: Not slots of the node.
            AgentLostError: The node is lost.
        """
        agent = self.open_all([node])[node.id]
        self.ask(agent, self._transport.call(agent, "exclude", self.key, cores, reason))
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
        for call in [self._transport.call(agent, "close", self.key) for agent in self._agents.values()]:
            with contextlib.suppress(AgentLostError):
                self._transport.answer(call)
        for reservation in self._reservations:
            reservation.release()
