"""Where a gang goes: one Ray placement group, all of its bundles or none.

Ray answers in milliseconds when a gang fits, and never says that one does not: it waits. So what cannot be is refused here,
from the cores of the living nodes less what this engine holds; for the rest (another driver's work, a group that Ray is about
to free) Ray gets `PLACEMENT_S`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bedplate.core.errors import ResourcesError
from bedplate.core.implements import implements
from bedplate.core.workload import Gang, Placement, Task
from bedplate.engines.remote.transport import RemoteNode, Reservation

PLACEMENT_S = 3.0
"""How long Ray may take to place a gang for which there seem to be cores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RayReservation:
    """A placement group that was granted, or that holds cores back."""

    group: Any
    node_ids: tuple[str, ...] = ()
    """Ray's id of the node of each task, in rank order."""

    @implements(Reservation)
    def release(self) -> None:
        _remove(self.group)


def place(gang: Gang, nodes: Mapping[str, RemoteNode], held: Mapping[str, int], placement: Placement | None) -> RayReservation:
    """A placement group that holds the gang's cores and memory.

    Args:
        gang: What is to be placed.
        nodes: Nodes that are alive, by Ray's id.
        held: Cores of each node that this engine's other gangs and exclusions hold.
        placement: On which node each task goes; None leaves it to Ray.

    Raises:
        ResourcesError: It does not fit now.
    """
    from ray.util.placement_group import placement_group

    if not _may_fit(gang, nodes, held):
        raise _refusal(gang, nodes)
    selectors = _selectors(gang, nodes, placement)
    group = placement_group(_bundles(gang, nodes, placement), strategy="PACK", bundle_label_selector=selectors)
    try:
        if group.wait(PLACEMENT_S):
            return RayReservation(group=group, node_ids=_node_ids(group))
        raise _refusal(gang, nodes)
    except BaseException:
        _remove(group)
        raise


def hold_back(node: RemoteNode, num_cores: int) -> RayReservation:
    """A group that keeps cores of one node from being placed on; granted now or when what runs there ends."""
    from ray.util.placement_group import placement_group

    return RayReservation(group=placement_group([{"CPU": num_cores}], bundle_label_selector=[{"ray.io/node-id": node.id}]))


def _node_ids(group: Any) -> tuple[str, ...]:
    from ray.util.placement_group import placement_group_table

    chosen: Mapping[int, str] = placement_group_table(group)["bundles_to_node_id"]
    return tuple(str(chosen[rank]) for rank in sorted(chosen))


def _remove(group: Any) -> None:
    from ray.util.placement_group import remove_placement_group

    remove_placement_group(group)


def _num_cores(gang: Gang) -> int:
    return sum(task.resources.cpus for task in gang.tasks)


def _may_fit(gang: Gang, nodes: Mapping[str, RemoteNode], held: Mapping[str, int]) -> bool:
    """False where it is certain that Ray will not place it now."""
    fitting = [node for node in nodes.values() if gang.node_labels.items() <= node.labels.items()]
    free = [node.num_cores - held.get(node.id, 0) for node in fitting]
    return _num_cores(gang) <= sum(free) and max(task.resources.cpus for task in gang.tasks) <= max(free)


def _selectors(gang: Gang, nodes: Mapping[str, RemoteNode], placement: Placement | None) -> Sequence[dict[str, str]] | None:
    """What Ray must find in the labels of each task's node; it labels every node with its id."""
    if placement is None:
        return [dict(gang.node_labels)] * len(gang.tasks) if gang.node_labels else None
    by_name = {node.name: node.id for node in nodes.values()}
    return [{"ray.io/node-id": by_name[place.node]} for place in placement.tasks]


def _bundles(gang: Gang, nodes: Mapping[str, RemoteNode], placement: Placement | None) -> list[dict[str, float]]:
    by_name = {node.name: node for node in nodes.values()}
    places = [None] * len(gang.tasks) if placement is None else [by_name[place.node] for place in placement.tasks]
    return [_bundle(task, node) for task, node in zip(gang.tasks, places, strict=True)]


def _bundle(task: Task, node: RemoteNode | None) -> dict[str, float]:
    """What Ray counts of it; accelerators that it does not count are the agent's ledger's alone."""
    memory = {"memory": task.resources.memory_bytes} if task.resources.memory_bytes else {}
    counted = node.accelerators[:1] if node is not None and task.resources.accelerators else ()
    return {"CPU": task.resources.cpus, **memory, **{item.resource: task.resources.accelerators for item in counted}}


def _refusal(gang: Gang, nodes: Mapping[str, RemoteNode]) -> ResourcesError:
    import ray

    free, total = ray.available_resources().get("CPU", 0), sum(node.num_cores for node in nodes.values())
    on_labels = f", on nodes with {dict(gang.node_labels)}" if gang.node_labels else ""
    return ResourcesError(
        f"gang '{gang.name}' does not fit: its {len(gang.tasks)} tasks ask for {_num_cores(gang)} cores",
        seen=f"free: {free:g} of {total} cores on {len(nodes)} nodes",
        expected=f"all tasks at the same time{on_labels}",
        next_step="wait for other gangs to end, ask for less, or add nodes",
    )
