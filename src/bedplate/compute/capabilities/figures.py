"""What is known of one device: each figure as measured if it was, else as published, and never one shown as the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    entries = (table or published()).entries_of(device)
    paper = _least(device.model, [published_figures(entry) for entry in entries])
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
        note=_note(device, entries, bool(measured)),
    )


def memory_of(device: Device, table: CapabilityTable | None = None) -> Figure | None:
    """Memory of a device in bytes: what it says, else what is published of its model, of a family the least."""
    if device.memory_bytes:
        return Figure(value=device.memory_bytes, provenance=Provenance.MEASURED, source=f"what {device.id} says")
    found = [published_figure(entry, "memory", entry.memory) for entry in (table or published()).entries_of(device)]
    return _lowest(found)


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


def _least(model: str, papers: Sequence[DeviceFigures]) -> DeviceFigures:
    """What holds of any of these models; nothing where one of them has no such figure."""
    if len(papers) == 1:
        return papers[0]
    rates = {name: _lowest([paper.flops.get(name) for paper in papers]) for name in PRECISIONS}
    return DeviceFigures(
        model=model,
        precisions=tuple(name for name in PRECISIONS if papers and all(name in paper.precisions for paper in papers)),
        flops={name: rate for name, rate in rates.items() if rate is not None},
        memory_bandwidth_bytes_per_s=_lowest([paper.memory_bandwidth_bytes_per_s for paper in papers]),
        watts=_most_watts(papers),
    )


def _most_watts(papers: Sequence[DeviceFigures]) -> Figure | None:
    """Rated power that none of these models exceeds; None where one of them is not known."""
    watts = [paper.watts for paper in papers if paper.watts is not None]
    return max(watts, key=lambda figure: figure.value) if watts and len(watts) == len(papers) else None


def _lowest(figures: Sequence[Figure | None]) -> Figure | None:
    known = [figure for figure in figures if figure is not None]
    return min(known, key=lambda figure: figure.value) if known and len(known) == len(figures) else None


def _note(device: Device, entries: Sequence[Capability], is_measured: bool) -> str:
    if len(entries) > 1:
        return f"'{device.model}' is any of {', '.join(entry.model for entry in entries)}: figures are the lowest of them"
    if entries:
        return ""
    if is_measured:
        return f"no figures of '{device.model}' are published here: rates are those that were measured on it"
    return f"no figures of '{device.model}' are published here, and none were measured: run 'bedplate doctor' on its machine"
