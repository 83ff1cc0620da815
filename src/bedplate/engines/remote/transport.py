"""What a way to other machines must offer, so that the engine above it can run gangs there.

A transport knows which nodes are alive, starts one `NodeAgent` on each, carries bytes to its `serve` and the answer back, and
says when an agent is lost. It also reserves: a cluster has other users, and only the cluster's own manager can promise cores of
it. Everything else (what the bytes say, sessions, gangs, logs, causes of ends) is `engines/remote`'s, the same for every
transport.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from bedplate.core.workload import Gang, Placement

ANSWER_S = 30.0
"""What an agent may take to answer a call that does not wait."""
AGENT_START_S = 60.0
"""What the first call of an agent may take: it starts a process on its node."""

Agent: TypeAlias = Any
"""A transport's own reference to a `NodeAgent`; compared by identity."""
Call: TypeAlias = Any
"""A transport's own reference to a call that is under way; hashable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerators:
    """Accelerators of one model, as the cluster manager counts them."""

    resource: str
    """The manager's word for them: `GPU`, `NPU`."""
    model: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteNode:
    """A node that is alive and carries work."""

    id: str
    """The cluster manager's; another one each time that a machine joins."""
    name: str
    """By which people and placements know it."""
    host: str
    """Address under which the other nodes reach it."""
    num_cores: int
    """Cores, as the cluster manager counts them."""
    labels: Mapping[str, str]
    accelerators: tuple[Accelerators, ...] = ()
    """Those that the cluster manager counts, and holds for whom it promised them to."""


class Reservation(Protocol):
    """Cores that the cluster manager holds for us."""

    @property
    def node_ids(self) -> tuple[str, ...]:
        """`RemoteNode.id` of each task, in rank order."""
        ...

    def release(self) -> None:
        """Give them back; once."""
        ...


class Transport(Protocol):
    """The way to the nodes of one cluster. Thread-safe; engines may share it."""

    name: str
    """The engine's name: `ray`."""
    node_reader: str
    """Function by which each agent reads its machine; see `engines/node_reader.py`."""
    hidden_packages: tuple[str, ...]
    """Packages of the transport, loaded in its agents, whose own folders tasks must not import from."""

    def nodes(self) -> Mapping[str, RemoteNode]:
        """Nodes that are alive, by id."""
        ...

    def agent(self, node: RemoteNode) -> Agent:
        """The agent of a node, started at its first use; the same one until it is forgotten. Does not wait for it."""
        ...

    def forget(self, agent: Agent) -> None:
        """The agent was found lost: the next use of its node, if that is alive, starts another."""
        ...

    def call(self, agent: Agent, request: bytes) -> Call:
        """Begin a call of `NodeAgent.serve`; returns without waiting. Calls of one agent run at the same time."""
        ...

    def answer(self, call: Call, timeout_s: float = ANSWER_S) -> bytes:
        """What `serve` returned.

        Raises:
            AgentLostError: The agent, or its node, is gone.
            UnavailableError: It did not answer in time.
        """
        ...

    def ready(self, calls: Sequence[Call], timeout_s: float) -> Sequence[Call]:
        """Those that can be answered now, or the first within `timeout_s`; a lost agent's calls are ready too."""
        ...

    def reserve(self, gang: Gang, placement: Placement | None, held: Mapping[str, int]) -> Reservation:
        """Cores and memory for all tasks, or none.

        Args:
            gang: What is to be placed.
            placement: On which node, by name, each task goes; it was checked. None: the cluster manager decides.
            held: Cores of each node, by id, that this engine's own gangs and exclusions hold.

        Raises:
            ResourcesError: It does not fit now.
            UsageError: It asks for what this transport cannot give.
        """
        ...

    def hold_back(self, node: RemoteNode, num_cores: int) -> Reservation:
        """Keep cores of a node from being placed on, now or once what runs there has ended."""
        ...

    def remove_node(self, name: str) -> None:
        """Make a node disappear, for drills; returns when it is no longer among `nodes`.

        Raises:
            UnavailableError: This cluster is not ours to damage.
        """
        ...
