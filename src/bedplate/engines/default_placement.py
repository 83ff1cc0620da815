"""The default placement policy: which cores and accelerators each task of a gang gets. A pure function.

A node may list a core more than once, which makes an over-subscribed test machine (three cores to give away, two to run on):
such a core may be taken as often as it is listed, and counts so. One task never gets the same core twice.

A task goes to the first node that has room for it, there into one NUMA node if one can hold it, the fullest such one first
(large tasks find room later), and in it to the least loaded cores. Greedy in rank order, so a gang either fits as tried or is
refused; O(tasks * (nodes + cores)).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bedplate.core.devices import Device, Node
from bedplate.core.errors import ResourcesError
from bedplate.core.workload import Gang, Placement, Resources, TaskPlacement


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeNode:
    """What may be taken of a node now."""

    node: Node
    num_usable: int
    """Cores that are not excluded, taken or not."""
    num_free: int
    """Cores that are neither excluded nor taken: the sum of `cores`."""
    cores: Mapping[int, int]
    """How often each core may still be taken, where it may."""
    taken: Mapping[int, int]
    """How often tasks hold each core."""
    devices: tuple[Device, ...]
    """Free accelerators."""
    memory_bytes: int
    """Memory that no task has reserved."""

    def describe(self) -> str:
        """`1 of 2 cores, 0 of 0 accelerators, 12.5 of 25.3 GB`."""
        num_devices = sum(device.kind != "cpu" for device in self.node.devices)
        memory = f"{self.memory_bytes / 1e9:.3g} of {self.node.memory_bytes / 1e9:.3g} GB"
        return f"{self.num_free} of {self.num_usable} cores, {len(self.devices)} of {num_devices} accelerators, {memory}"


def default_placement(gang: Gang, nodes: Sequence[FreeNode]) -> Placement:
    """Where each task of `gang` goes.

    Args:
        gang: What is to be placed; only nodes with its labels are considered.
        nodes: What is free, in order of preference.

    Raises:
        ResourcesError: More is asked than there is, or than is free; names both.
    """
    candidates = [item for item in nodes if gang.node_labels.items() <= item.node.labels.items()]
    free = list(candidates)
    placed: list[TaskPlacement] = []
    for task in gang.tasks:
        for index, item in enumerate(free):
            if (place := _fit(task.resources, item)) is not None:
                placed.append(place)
                free[index] = _without(item, place, task.resources.memory_bytes or 0)
                break
        else:
            raise _refusal(gang, candidates)
    return Placement(tasks=tuple(placed))


def _fit(wanted: Resources, free: FreeNode) -> TaskPlacement | None:
    if wanted.cpus > free.num_free or (wanted.memory_bytes or 0) > free.memory_bytes:
        return None
    cores = _choose_cores(wanted.cpus, free)
    devices = _choose_devices(wanted, free)
    if cores is None or devices is None:
        return None
    return TaskPlacement(node=free.node.id, cores=cores, devices=devices)


def _choose_devices(wanted: Resources, free: FreeNode) -> tuple[str, ...] | None:
    """Accelerators of one model: a process does not program two kinds. The model with the fewest free ones that suffice."""
    if not wanted.accelerators:
        return ()
    groups: dict[tuple[str, str], list[str]] = {}
    for device in free.devices:
        if wanted.accelerator in ("any", device.model):
            groups.setdefault((device.vendor, device.model), []).append(device.id)
    fitting = [sorted(group) for group in groups.values() if len(group) >= wanted.accelerators]
    return tuple(min(fitting, key=lambda group: (len(group), group))[: wanted.accelerators]) if fitting else None


def _choose_cores(count: int, free: FreeNode) -> tuple[int, ...] | None:
    groups = [{core for core in device.cores if core in free.cores} for device in free.node.devices if device.kind == "cpu"]
    fitting = [group for group in groups if len(group) >= count]
    pool = min(fitting, key=len) if fitting else set(free.cores)
    if len(pool) < count:
        return None
    return tuple(sorted(sorted(pool, key=lambda core: (free.taken.get(core, 0), core))[:count]))


def _without(free: FreeNode, place: TaskPlacement, memory_bytes: int) -> FreeNode:
    """What is left once a task is placed."""
    left = {core: num - (core in place.cores) for core, num in free.cores.items()}
    return replace(
        free,
        num_free=free.num_free - len(place.cores),
        cores={core: num for core, num in left.items() if num},
        taken={**free.taken, **{core: free.taken.get(core, 0) + 1 for core in place.cores}},
        devices=tuple(device for device in free.devices if device.id not in place.devices),
        memory_bytes=free.memory_bytes - memory_bytes,
    )


def _refusal(gang: Gang, nodes: Sequence[FreeNode]) -> ResourcesError:
    asked = [task.resources for task in gang.tasks]
    cpus, accelerators = sum(item.cpus for item in asked), sum(item.accelerators for item in asked)
    memory_bytes = sum(item.memory_bytes or 0 for item in asked)
    return ResourcesError(
        f"gang '{gang.name}' does not fit: its {len(asked)} tasks ask for {cpus} cores, {accelerators} accelerators and "
        f"{memory_bytes / 1e9:.3g} GB",
        seen="free: " + ("; ".join(item.describe() for item in nodes[:4]) or "no node with its labels"),
        expected="room for all tasks of the gang at the same time, each on different cores",
        next_step="wait for other gangs to end, ask for less, or use fewer workers",
    )
