"""What `needs.accelerator` means on an engine: which kinds of devices the workers of a job may run on, the best first.

A file says what a job needs and not what is owned, so the same file runs on every kind. `any` takes accelerators of a kind that
bedplate has run jobs on before it takes processors; a kind of which only the tools' output is read must be asked for by name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bedplate.compute.backends.registry import backends
from bedplate.compute.capabilities.table import published
from bedplate.core.backends import SupportLevel
from bedplate.core.devices import Device, Node
from bedplate.core.errors import NotFoundError, ResourcesError
from bedplate.core.workload import Resources

ANY, CPU = "any", "cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceChoice:
    """One kind of device for all workers of a job."""

    model: str = ""
    """`Device.model` of the accelerators; empty: processors."""

    def resources(self, cpus: int) -> Resources:
        """What one worker takes: its cores, and one accelerator where it computes on one."""
        if not self.model:
            return Resources(cpus=cpus)
        return Resources(cpus=cpus, accelerators=1, accelerator=self.model)

    def __str__(self) -> str:
        return self.model or "processors"


def device_choices(words: Sequence[str], nodes: Iterable[Node]) -> Sequence[DeviceChoice]:
    """The kinds of devices that a job may run on, in the order in which they are tried.

    Args:
        words: `any`, `cpu`, models, families, vendors or backends; the best one first.
        nodes: What the engine has.

    Raises:
        ResourcesError: The engine has nothing of the kind that is asked for.
    """
    devices = [device for node in nodes for device in node.devices if device.kind != "cpu"]
    found = tuple(dict.fromkeys(choice for word in words for choice in _choices_of(word, devices)))
    if not found:
        raise ResourcesError(
            f"the engine has no accelerator '{' or '.join(words)}'",
            seen=", ".join(sorted({device.model for device in devices})) or "processors only",
            expected="the model, family, vendor or backend of one that 'compute inventory' lists",
            next_step="write 'accelerator: any', or run where there is one",
        )
    return found


def models_meant(words: Sequence[str], nodes: Iterable[Node]) -> tuple[str, ...]:
    """Models of accelerators of these nodes that one of the words means, the best one first."""
    devices = [device for node in nodes for device in node.devices if device.kind != "cpu"]
    meant = (choice.model for word in words if word not in (ANY, CPU) for choice in _choices_of(word, devices))
    return tuple(dict.fromkeys(meant))


def _choices_of(word: str, devices: Sequence[Device]) -> tuple[DeviceChoice, ...]:
    if word == CPU:
        return (DeviceChoice(),)
    if word == ANY:
        return (*_choices(filter(_has_run_jobs, devices)), DeviceChoice())
    return _choices(device for device in devices if _is_meant(word, device))


def is_emulated(devices: Iterable[Device]) -> bool:
    """Whether any of the devices is stand-in hardware: what is measured on it is `emulated`."""
    known = backends()
    return any(device.runtime.backend in known and known[device.runtime.backend].is_emulated for device in devices)


def _choices(devices: Iterable[Device]) -> tuple[DeviceChoice, ...]:
    """One a model, the one with the most devices first."""
    counts = Counter(device.model for device in devices)
    return tuple(DeviceChoice(model=model) for model, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _has_run_jobs(device: Device) -> bool:
    known = backends().get(device.runtime.backend)
    return known is not None and known.support is not SupportLevel.PARSED


def _is_meant(word: str, device: Device) -> bool:
    if word.casefold() in {device.model.casefold(), device.vendor, device.runtime.backend}:
        return True
    entries = published().entries_of(device)
    try:
        return bool(entries) and {entry.model for entry in entries} <= {entry.model for entry in published().wanted(word)}
    except NotFoundError:
        return False
