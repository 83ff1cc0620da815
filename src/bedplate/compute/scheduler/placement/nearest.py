"""A request that can never be placed: what is nearest to it that can, on the cluster as it is when empty."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from bedplate.compute.scheduler.placement.cluster import Cluster
from bedplate.compute.scheduler.placement.gang import Gang, find_room
from bedplate.compute.scheduler.placement.request import Node, RequestClass


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest:
    """A request that some node can take."""

    need: RequestClass
    changed: tuple[str, ...]
    """What is less or other than asked for: `devices`, `CPU`, `memory`, `models`."""
    kept_frac: float
    """Part of what was asked for that is kept: the product over devices, CPU and memory, 0 to 1."""


def can_ever_fit(cluster: Cluster, need: RequestClass) -> bool:
    """Whether some node takes it when nothing runs there; drained nodes count."""
    return any(_fits(node, need) for node in _shapes(cluster))


def nearest_satisfiable(cluster: Cluster, need: RequestClass) -> list[Nearest]:
    """For a request that no node can ever take: the nearest that one can.

    Returns:
        The best for each set of things to change, fewest changes first, then what keeps the most; `need` itself, without
        changes, if it can be had; empty if the cluster has no nodes. Devices are taken away with their part of CPU and
        memory.
    """
    best: dict[tuple[str, ...], Nearest] = {}
    for node in _shapes(cluster):
        for nearest in _on(node, need):
            known = best.get(nearest.changed)
            if known is None or nearest.kept_frac > known.kept_frac:
                best[nearest.changed] = nearest
    return sorted(best.values(), key=lambda nearest: (len(nearest.changed), -nearest.kept_frac))


def largest_gang(cluster: Cluster, gang: Gang) -> int:
    """How many of a gang's workers the cluster takes when it is empty, under the gang's topology; at most its count."""
    empty = Cluster([cluster.nodes[at] for at in cluster.present()])
    item = empty.class_of(cluster.classes[gang.item])
    return find_room(empty, replace(gang, item=item, min_count=0))


def _shapes(cluster: Cluster) -> list[Node]:
    """One node of each kind."""
    nodes = (cluster.nodes[at] for at in cluster.present().tolist())
    return list({(node.cpu_milli, node.memory_mib, node.models): node for node in nodes}.values())


def _devices(node: Node, models: tuple[str, ...]) -> int:
    """Devices of one accepted model, the most of any."""
    return max((node.models.count(model) for model in set(node.models) if not models or model in models), default=0)


def _fits(node: Node, need: RequestClass) -> bool:
    has_devices = need.num_devices <= _devices(node, need.models) or not need.num_devices
    return has_devices and need.cpu_milli <= node.cpu_milli and need.memory_mib <= node.memory_mib


def _on(node: Node, need: RequestClass) -> Iterator[Nearest]:
    """What this node can take of it: with the models as they are, and with its own."""
    for models in dict.fromkeys((need.models, *((model,) for model in dict.fromkeys(node.models)))):
        num_devices = min(need.num_devices, _devices(node, models))
        if num_devices == 0 and need.num_devices:
            continue
        part = num_devices / max(need.num_devices, 1) if need.num_devices else 1.0
        cpu, memory = int(need.cpu_milli * part), int(need.memory_mib * part)
        less = replace(
            need,
            num_devices=num_devices,
            models=models,
            cpu_milli=min(cpu, node.cpu_milli),
            memory_mib=min(memory, node.memory_mib),
        )
        is_changed = {
            "devices": num_devices < need.num_devices,
            "CPU": less.cpu_milli < cpu,
            "memory": less.memory_mib < memory,
            "models": bool(need.num_devices) and models != need.models and bool(need.models),
        }
        if models != need.models and not is_changed["models"]:
            continue
        kept = part * _part(less.cpu_milli, cpu) * _part(less.memory_mib, memory)
        yield Nearest(need=less, changed=tuple(name for name, is_so in is_changed.items() if is_so), kept_frac=kept)


def _part(less: int, whole: int) -> float:
    return less / whole if whole else 1.0
