"""All parts of a gang on the nodes that were chosen for it, or none of them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bedplate.core.errors import BedplateError
from bedplate.core.workload import Gang, Placement, TaskPlacement
from bedplate.engines.local.start import GangPart
from bedplate.engines.remote.answers import Placed, Text
from bedplate.engines.remote.conversation import Conversation
from bedplate.engines.remote.environment import with_driver_environment
from bedplate.engines.remote.gang import Part
from bedplate.engines.remote.orders import Abandon, HoldRendezvous, StartPart
from bedplate.engines.remote.transport import Agent, RemoteNode


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedParts:
    """A gang that runs on its nodes."""

    key: str
    """Its name on every agent. Not its directory's name: that of a gang whose start failed is free again."""
    parts: tuple[Part, ...]
    placement: Placement
    """Where each task runs."""


def start_parts(
    gang: Gang,
    wanted: Placement | None,
    chosen: Sequence[RemoteNode],
    agents: Mapping[str, Agent],
    conversation: Conversation,
) -> StartedParts:
    """Start every part of a gang; where one cannot be started, the others are abandoned.

    Args:
        gang: The tasks.
        wanted: Where each of them runs; None: on its node, the agent decides.
        chosen: The node of each task.
        agents: The agent of each of these nodes, by node id.
        conversation: The way to them.

    Raises:
        BedplateError: The first error of an agent, once all have answered.
    """
    key = uuid.uuid4().hex
    parts = _parts(chosen, agents)
    try:
        rendezvous = conversation.ask(agents[chosen[0].id], HoldRendezvous(key=key), Text).text
        placement = _start(with_driver_environment(gang), wanted, key, parts, rendezvous, conversation)
    except BaseException:
        for part in parts:
            conversation.order(part.agent, Abandon(key=key))
        raise
    return StartedParts(key=key, parts=parts, placement=placement)


def _parts(chosen: Sequence[RemoteNode], agents: Mapping[str, Agent]) -> tuple[Part, ...]:
    """One part a node, that of rank 0 first."""
    ranks: dict[str, list[int]] = {}
    for rank, node in enumerate(chosen):
        ranks.setdefault(node.id, []).append(rank)
    nodes = {node.id: node for node in chosen}
    return tuple(Part(agent=agents[id_], node=nodes[id_], ranks=tuple(own)) for id_, own in ranks.items())


def _start(
    gang: Gang, wanted: Placement | None, key: str, parts: Sequence[Part], rendezvous: str, conversation: Conversation
) -> Placement:
    calls = [(part, conversation.order(part.agent, _order(gang, wanted, key, part, rendezvous))) for part in parts]
    placed: dict[int, TaskPlacement] = {}
    failures: list[BedplateError] = []
    for part, call in calls:
        try:
            places = conversation.answer_of(part.agent, call, Placed).placement.tasks
        except BedplateError as error:
            failures.append(error)
        else:
            placed.update(zip(part.ranks, places, strict=True))
    if failures:
        raise failures[0]
    return Placement(tasks=tuple(placed[rank] for rank in sorted(placed)))


def _order(gang: Gang, wanted: Placement | None, key: str, part: Part, rendezvous: str) -> StartPart:
    return StartPart(
        key=key,
        gang=replace(gang, tasks=tuple(gang.tasks[rank] for rank in part.ranks), node_labels={}),
        part=GangPart(ranks=part.ranks, world_size=len(gang.tasks), rendezvous=rendezvous),
        placement=Placement(tasks=tuple(wanted.tasks[rank] for rank in part.ranks)) if wanted else None,
    )
