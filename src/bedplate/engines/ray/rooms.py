"""The rooms that one engine has on the agents of a cluster: opened at first use, and again where an agent was replaced."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bedplate.core.devices import Exclusion
from bedplate.core.errors import AgentLostError
from bedplate.engines.ray import placement
from bedplate.engines.ray.agent import LeftOut
from bedplate.engines.ray.connection import AGENT_START_S, ANSWER_S, RayConnection, RayNode


class Rooms:
    """Rooms of the engine `key`. Not locked: the engine serialises.

    Args:
        key: Name of the engine on every agent.
        root: Each node's logs and scratch directories go under `root/NODE` there.
        connection: The way to the agents.
    """

    def __init__(self, key: str, root: Path, connection: RayConnection) -> None:
        self.key = key
        self._root = root
        self._connection = connection
        self._agents: dict[str, Any] = {}
        """Ray's node id -> the agent that has the room."""
        self._exclusions: dict[str, list[LeftOut]] = {}
        self._reservations: list[Any] = []

    def open(self, nodes: Iterable[RayNode]) -> dict[str, Any]:
        """Agents that now have a room, by Ray's node id; a node that is lost meanwhile is left out."""
        nodes, opening = list(nodes), []
        for node in nodes:
            agent = self._connection.agent(node)
            if self._agents.get(node.id) is not agent:
                exclusions = self._exclusions.get(node.id, [])
                opening.append((node, agent, agent.open.remote(self.key, str(self._root / node.name), exclusions)))
        for node, agent, call in opening:
            self._agents.pop(node.id, None)
            with contextlib.suppress(AgentLostError):
                self.ask(agent, call, AGENT_START_S)
                self._agents[node.id] = agent
        return {node.id: self._agents[node.id] for node in nodes if node.id in self._agents}

    def open_all(self, nodes: Iterable[RayNode]) -> dict[str, Any]:
        """As `open`, for nodes that are all needed.

        Raises:
            AgentLostError: One of them is lost.
        """
        nodes = list(nodes)
        agents = self.open(nodes)
        if missing := [node.name for node in nodes if node.id not in agents]:
            raise AgentLostError(f"node {', '.join(missing)} went away", next_step="submit again, or add nodes")
        return agents

    def ask(self, agent: Any, call: Any, timeout_s: float = ANSWER_S) -> Any:
        """What an agent answers; one that is found lost is forgotten. Raises as `RayConnection.answer`."""
        try:
            return self._connection.answer(call, timeout_s)
        except AgentLostError:
            self._connection.forget(agent)
            raise

    def exclude(self, node: RayNode, cores: tuple[int, ...], reason: str) -> None:
        """Leave cores of a node out, there and in Ray's count: a reservation keeps as many of the node taken.

        Raises:
            NotFoundError: Not slots of the node.
            AgentLostError: The node is lost.
        """
        agent = self.open_all([node])[node.id]
        self.ask(agent, agent.exclude.remote(self.key, cores, reason))
        self._exclusions.setdefault(node.id, []).append((cores, reason))
        self._reservations.append(placement.reserve(node, len(cores)))

    def exclusions(self, nodes: Mapping[str, RayNode]) -> tuple[Exclusion, ...]:
        """What is left out on these nodes, which are given by Ray's id."""
        return tuple(
            Exclusion(node_id=node.name, cores=cores, reason=reason)
            for node in nodes.values()
            for cores, reason in self._exclusions.get(node.id, ())
        )

    def num_excluded(self) -> Counter[str]:
        """Cores that are left out, by Ray's node id."""
        return Counter({node_id: sum(len(cores) for cores, _ in items) for node_id, items in self._exclusions.items()})

    def close(self) -> None:
        """End everything in the rooms, and give back what was left out."""
        for call in [agent.close.remote(self.key) for agent in self._agents.values()]:
            with contextlib.suppress(AgentLostError):
                self._connection.answer(call)
        for group in self._reservations:
            placement.remove(group)
