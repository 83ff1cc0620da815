"""Which cores, memory and accelerators of one machine are taken, and who gets what next.

A slot is the right to use one core. The list of slots may name a core more than once, which makes an over-subscribed
test machine (three slots on two cores). One task never gets the same core twice.

Placement: a task goes where one NUMA node can hold it, the fullest such node first (large tasks find room later), and in
it to the least loaded cores. Greedy in rank order, so a gang either fits as tried or is refused; O(tasks * cores).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bedplate.core.devices import Device
from bedplate.core.errors import NotFoundError, ResourcesError
from bedplate.core.workload import Gang, Resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """What one task holds."""

    cores: tuple[int, ...]
    devices: tuple[Device, ...] = ()
    memory_bytes: int = 0


class Slots:
    """Book of the slots of one machine. Not locked: the engine serialises."""

    def __init__(
        self, cores: Sequence[int], numa_of: Mapping[int, int], memory_bytes: int, accelerators: Sequence[Device] = ()
    ) -> None:
        self._listed = Counter(cores)
        self._excluded: Counter[int] = Counter()
        self._used: Counter[int] = Counter()
        self._free = dict(self._listed)
        """Listed less excluded less used; below 0 where a slot was excluded while it was taken."""
        self._numa_of = numa_of
        self._memory_bytes = memory_bytes
        self._free_memory_bytes = memory_bytes
        self._accelerators = tuple(accelerators)
        self._free_accelerators = {device.id: device for device in accelerators}
        self.num_free = len(cores)
        """Slots that are neither taken nor excluded."""

    def take(self, wanted: Resources) -> Reservation | None:
        """Reserve for one task; None, and nothing taken, where it does not fit now."""
        if wanted.cpus > self.num_free:
            return None
        cores = self._choose_cores(wanted.cpus)
        fitting = [item for item in self._free_accelerators.values() if wanted.accelerator in ("any", item.model)]
        devices = tuple(sorted(fitting, key=lambda device: device.id)[: wanted.accelerators])
        memory_bytes = wanted.memory_bytes or 0
        if cores is None or len(devices) < wanted.accelerators or memory_bytes > self._free_memory_bytes:
            return None
        for core in cores:
            self._free[core] -= 1
            self._used[core] += 1
        self.num_free -= len(cores)
        self._free_memory_bytes -= memory_bytes
        for device in devices:
            del self._free_accelerators[device.id]
        return Reservation(cores=cores, devices=devices, memory_bytes=memory_bytes)

    def release(self, reservation: Reservation) -> None:
        """Give back what `reserve` handed out."""
        for core in reservation.cores:
            self._free[core] += 1
            self._used[core] -= 1
            self.num_free += self._free[core] > 0
        self._free_memory_bytes += reservation.memory_bytes
        self._free_accelerators |= {device.id: device for device in reservation.devices}

    def exclude(self, cores: Sequence[int]) -> None:
        """Take one slot of each core named out of later placements, free or not.

        Raises:
            NotFoundError: A core that is not listed (any more).
        """
        wanted = Counter(cores)
        for core, count in wanted.items():
            if self._excluded[core] + count > self._listed[core]:
                raise NotFoundError(
                    f"core {core} has no slot to exclude",
                    seen=f"{self._listed[core]} listed, {self._excluded[core]} excluded",
                    expected=f"one of {sorted((self._listed - self._excluded).elements())}",
                )
        self._excluded += wanted
        for core in cores:
            self.num_free -= self._free[core] > 0
            self._free[core] -= 1

    def describe_free(self) -> str:
        """`1 of 2 cores, 0 of 0 accelerators, 12.5 of 25.3 GB`."""
        usable = sum((self._listed - self._excluded).values())
        accelerators = f"{len(self._free_accelerators)} of {len(self._accelerators)} accelerators"
        memory = f"{self._free_memory_bytes / 1e9:.3g} of {self._memory_bytes / 1e9:.3g} GB"
        return f"{self.num_free} of {usable} cores, {accelerators}, {memory}"

    def _choose_cores(self, count: int) -> tuple[int, ...] | None:
        free = sorted(core for core, count in self._free.items() if count > 0)
        by_numa: dict[int, list[int]] = {}
        for core in free:
            by_numa.setdefault(self._numa_of.get(core, 0), []).append(core)
        fitting = [group for group in by_numa.values() if len(group) >= count]
        pool = min(fitting, key=len) if fitting else free
        if len(pool) < count:
            return None
        return tuple(sorted(sorted(pool, key=lambda core: (self._used[core], core))[:count]))


def reserve_gang(gang: Gang, machines: Sequence[Slots]) -> tuple[tuple[int, Reservation], ...]:
    """For each rank the index of its machine, first fit in their order, and what it holds there; or nothing at all.

    Raises:
        ResourcesError: More than there is, or than is free; names both.
    """
    taken: list[tuple[int, Reservation]] = []
    for task in gang.tasks:
        for index, machine in enumerate(machines):
            if (reservation := machine.take(task.resources)) is not None:
                taken.append((index, reservation))
                break
        else:
            for index, reserved in taken:
                machines[index].release(reserved)
            raise _refusal(gang, machines)
    return tuple(taken)


def _refusal(gang: Gang, machines: Sequence[Slots]) -> ResourcesError:
    asked = [task.resources for task in gang.tasks]
    cpus, accelerators = sum(item.cpus for item in asked), sum(item.accelerators for item in asked)
    memory_bytes = sum(item.memory_bytes or 0 for item in asked)
    return ResourcesError(
        f"gang '{gang.name}' does not fit: its {len(asked)} tasks ask for {cpus} cores, {accelerators} accelerators and "
        f"{memory_bytes / 1e9:.3g} GB",
        seen="free: " + ("; ".join(machine.describe_free() for machine in machines[:4]) or "no node with its labels"),
        expected="room for all tasks of a gang at once, each on cores that differ",
        next_step="wait for other gangs to end, ask for less, or use fewer workers",
    )
