"""What is known of one device: each figure as measured if it was, else as published, and never one shown as the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bedplate.compute.capabilities.capability import PRECISIONS, Capability
from bedplate.compute.capabilities.table import CapabilityTable, published
from bedplate.core.devices import Device
from bedplate.core.json import JsonObject
from bedplate.core.measurement import Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number and where it comes from."""

    value: float
    provenance: Provenance
    source: str = ""
    is_confirmed: bool = True
    """False: published, it is said, but nobody found it in anything that was read."""

    def as_json(self) -> JsonObject:
        """For `-o json`; `unconfirmed` is there only where it is true."""
        mark: JsonObject = {} if self.is_confirmed else {"unconfirmed": True}
        return {"value": self.value, "provenance": self.provenance.value, "source": self.source, **mark}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFigures:
    """What is known of one device, or of one model."""

    model: str
    precisions: tuple[str, ...]
    """What it computes in, as far as is known; a rate may be missing all the same."""
    flops: Mapping[str, Figure] = field(default_factory=dict)
    """Operations/s by precision."""
    memory_bandwidth_bytes_per_s: Figure | None = None
    watts: Figure | None = None
    """Rated power."""
    note: str = ""
    """What is missing, for people."""

    def as_json(self) -> JsonObject:
        """For `-o json`."""
        bandwidth, watts = self.memory_bandwidth_bytes_per_s, self.watts
        return {
            "model": self.model,
            "precisions": list(self.precisions),
            "flops": {name: figure.as_json() for name, figure in self.flops.items()},
            "memory_bandwidth_bytes_per_s": bandwidth.as_json() if bandwidth else None,
            "watts": watts.as_json() if watts else None,
            "note": self.note,
        }


def figures_of(device: Device, table: CapabilityTable | None = None) -> DeviceFigures:
    """What is known of a device: what was measured on it, and for the rest what is published of its model.

    Rates that were measured while other work disturbed the device are lower bounds, and not taken.
    """
    capability = (table or published()).find(device.model, None if device.kind == "cpu" else device.vendor, device.memory_bytes)
    paper = DeviceFigures(model=device.model, precisions=()) if capability is None else published_figures(capability)
    rates, source = device.measured, f"measured on {device.id}"
    measured = {
        name: Figure(value=rate, provenance=Provenance.MEASURED, source=source)
        for name, rate in rates.matmul_flops.items()
        if rate is not None and name not in rates.disturbed
    }
    bandwidth = paper.memory_bandwidth_bytes_per_s
    if rates.memory_bandwidth_bytes_per_s is not None and "copy" not in rates.disturbed:
        bandwidth = Figure(value=rates.memory_bandwidth_bytes_per_s, provenance=Provenance.MEASURED, source=source)
    known = {*paper.precisions, *measured}
    return DeviceFigures(
        model=device.model,
        precisions=tuple(name for name in PRECISIONS if name in known),
        flops={**paper.flops, **measured},
        memory_bandwidth_bytes_per_s=bandwidth,
        watts=paper.watts,
        note=_note(device, capability, bool(measured)),
    )


def published_figures(capability: Capability) -> DeviceFigures:
    """What is published of a model; each figure with its vendor's document and with what was read to confirm it."""
    rates = {name: published_figure(capability, name, capability.peak_flops(name)) for name in capability.precisions}
    return DeviceFigures(
        model=capability.model,
        precisions=capability.precisions,
        flops={name: rate for name, rate in rates.items() if rate is not None},
        memory_bandwidth_bytes_per_s=published_figure(capability, "memory_bandwidth", capability.memory_bandwidth),
        watts=published_figure(capability, "watts", capability.watts),
    )


def published_figure(capability: Capability, name: str, value: float | None) -> Figure | None:
    """One of the figures of a model, under the name that `Capability.figures` has for it; None where it has no value."""
    if value is None:
        return None
    read = capability.read_in(name)
    source = "; read in ".join((capability.source, *read[:1]))
    return Figure(value=value, provenance=Provenance.PUBLISHED, source=source, is_confirmed=bool(read))


def _note(device: Device, capability: Capability | None, is_measured: bool) -> str:
    if capability is not None:
        return ""
    if is_measured:
        return f"no figures of '{device.model}' are published here: rates are those that were measured on it"
    return f"no figures of '{device.model}' are published here, and none were measured: run 'bedplate doctor' on its machine"
