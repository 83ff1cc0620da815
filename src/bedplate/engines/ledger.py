"""What is taken on each node, and the one way to take more: the placement of an entire gang, or nothing.

Where a gang goes is decided elsewhere, by a scheduler or by `engines/default_placement.py`; the ledger checks the decision
against what is free and keeps the books. Not locked: the engine serialises.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from bedplate.core.devices import Exclusion, Node
from bedplate.core.errors import NotFoundError, ResourcesError, UsageError
from bedplate.core.workload import Gang, Placement, Resources, TaskPlacement
from bedplate.engines.default_placement import FreeNode, default_placement


class NodeLedger:
    """What of one node is free, taken and excluded. A core that it lists twice may be taken twice."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.exclusions: tuple[Exclusion, ...] = ()
        self._listed = Counter(core for device in node.devices if device.kind == "cpu" for core in device.cores)
        self._excluded: Counter[int] = Counter()
        self._taken: Counter[int] = Counter()
        self._accelerators = {device.id: device for device in node.devices if device.kind != "cpu"}
        self._free_devices = dict(self._accelerators)
        self._free_memory_bytes = node.memory_bytes
        self._free: FreeNode | None = None

    def free(self) -> FreeNode:
        """What may be taken now; O(1) while nothing changes."""
        if self._free is None:
            usable = self._listed - self._excluded
            cores = usable - self._taken  # an excluded core that is taken still counts as taken: never below zero
            self._free = FreeNode(
                node=self.node,
                num_usable=usable.total(),
                num_free=cores.total(),
                cores=dict(cores),
                taken=dict(+self._taken),
                devices=tuple(self._free_devices.values()),
                memory_bytes=self._free_memory_bytes,
            )
        return self._free

    def take(self, place: TaskPlacement, wanted: Resources) -> None:
        """Book one task.

        Raises:
            ResourcesError: It names a core, an accelerator or memory that is not free; nothing is booked then.
            UsageError: It names accelerators that are programmed in different ways.
        """
        free = self.free()
        missing = [f"core {core}" for core in place.cores if core not in free.cores]
        missing += [f"accelerator {device}" for device in place.devices if device not in self._free_devices]
        missing += ["memory"] if (wanted.memory_bytes or 0) > self._free_memory_bytes else []
        if missing:
            raise ResourcesError(
                f"{', '.join(missing)} of node '{self.node.id}' is not free",
                seen=f"free: {free.describe()}",
                next_step="place on what `resources` lists, less what runs and what is excluded",
            )
        backends = {self._accelerators[device].runtime.backend for device in place.devices}
        if len(backends) > 1:
            raise UsageError(
                f"one task on accelerators of several kinds: {', '.join(place.devices)}",
                seen=", ".join(sorted(backends)),
                expected="accelerators that are programmed alike",
            )
        self._taken.update(place.cores)
        self._free_memory_bytes -= wanted.memory_bytes or 0
        for device in place.devices:
            del self._free_devices[device]
        self._free = None

    def release(self, place: TaskPlacement, wanted: Resources) -> None:
        """Release what `take` booked."""
        self._taken.subtract(place.cores)
        self._free_memory_bytes += wanted.memory_bytes or 0
        self._free_devices |= {device: self._accelerators[device] for device in place.devices}
        self._free = None

    def exclude(self, cores: tuple[int, ...], reason: str) -> None:
        """Leave each core named out of later placements, free or not; one that is listed twice, once a mention.

        Raises:
            NotFoundError: A core that is not listed, or excluded as often as it is listed.
        """
        wanted = Counter(cores)
        for core, count in wanted.items():
            if self._excluded[core] + count > self._listed[core]:
                raise NotFoundError(
                    f"core {core} cannot be excluded",
                    seen=f"{self._listed[core]} listed, {self._excluded[core]} excluded",
                    expected=f"one of {sorted((self._listed - self._excluded).elements())}",
                )
        self._excluded += wanted
        self.exclusions += (Exclusion(node_id=self.node.id, cores=cores, reason=reason),)
        self._free = None


def reserve(gang: Gang, placement: Placement | None, ledgers: Iterable[NodeLedger]) -> Placement:
    """Book a gang as `placement` says, or as the default policy does; all of it or nothing.

    Raises:
        ResourcesError: It does not fit now.
        UsageError: The placement does not belong to this gang; see `check_placement`.
    """
    by_id = {ledger.node.id: ledger for ledger in ledgers}
    if placement is None:
        placement = default_placement(gang, [ledger.free() for ledger in by_id.values()])
    else:
        check_placement(gang, placement, {node_id: ledger.node.labels for node_id, ledger in by_id.items()})
    taken: list[tuple[TaskPlacement, Resources]] = []
    try:
        for place, task in zip(placement.tasks, gang.tasks, strict=True):
            by_id[place.node].take(place, task.resources)
            taken.append((place, task.resources))
    except (ResourcesError, UsageError):
        for place, resources in taken:
            by_id[place.node].release(place, resources)
        raise
    return placement


def check_placement(gang: Gang, placement: Placement, labels: Mapping[str, Mapping[str, str]]) -> None:
    """Refuse a placement that could not be meant for this gang; `labels` are those of each node that is there, by its id.

    Raises:
        ResourcesError: A node is not there, perhaps not any more.
        UsageError: Not one entry per rank, a node that lacks the gang's labels, or other numbers of cores and accelerators than
            the task asks for.
    """
    if len(placement.tasks) != len(gang.tasks):
        raise UsageError(
            f"the placement of gang '{gang.name}' has {len(placement.tasks)} entries",
            expected=f"one per rank: {len(gang.tasks)}",
        )
    for rank, (place, task) in enumerate(zip(placement.tasks, gang.tasks, strict=True)):
        if place.node not in labels:
            raise ResourcesError(f"rank {rank}: no node '{place.node}'", expected=", ".join(sorted(labels)) or "none is left")
        if not gang.node_labels.items() <= labels[place.node].items():
            raise UsageError(
                f"rank {rank} is placed on node '{place.node}'",
                seen=f"labels {dict(labels[place.node])}",
                expected=f"labels {dict(gang.node_labels)}",
            )
        _check_counts(rank, place, task.resources)


def _check_counts(rank: int, place: TaskPlacement, wanted: Resources) -> None:
    if not len(set(place.cores)) == len(place.cores) == wanted.cpus:
        raise UsageError(f"rank {rank}: placed on cores {list(place.cores)}", expected=f"{wanted.cpus} different ones")
    if not len(set(place.devices)) == len(place.devices) == wanted.accelerators:
        raise UsageError(f"rank {rank}: placed on {list(place.devices)}", expected=f"{wanted.accelerators} accelerators")


def exclusions_of(ledgers: Sequence[NodeLedger]) -> tuple[Exclusion, ...]:
    """What is excluded on all nodes, in the order of the nodes."""
    return tuple(item for ledger in ledgers for item in ledger.exclusions)
