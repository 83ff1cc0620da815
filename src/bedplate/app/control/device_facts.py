"""What the service believes of the models of its nodes' devices: memory, equivalence units, and speed by kind of job.

Seeds come from what the devices can do (measured before published), corrections from what jobs achieved, which the state keeps.
A model of which nothing is known counts as one unit of speed 1.0, and `speed_of` says that this is an assumption.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from bedplate.app.pipeline.contract.accelerators import is_emulated
from bedplate.compute.capabilities.figures import Figure, memory_of
from bedplate.compute.capabilities.speed import Observations, Observed, Speed, SpeedTable
from bedplate.compute.costs.equivalence import Units, units_of
from bedplate.compute.costs.prices import Prices
from bedplate.compute.scheduler.needs import accelerators
from bedplate.compute.scheduler.tenants import DeviceType
from bedplate.core.devices import Device, Node
from bedplate.core.errors import UsageError
from bedplate.core.json import JsonObject
from bedplate.core.measurement import Provenance
from bedplate.core.messages import decode, encode
from bedplate.state.job_records import SpeedRecord

ASSUMED_SPEED = 1.0
"""What the scheduler takes where nothing is known."""
_SMALL = 0.02
"""Telling the scheduler costs as much as all jobs that wait: it is not told of less."""


class DeviceFacts:
    """Has one owner, the book."""

    def __init__(self, prices: Prices | None = None, stored: Iterable[SpeedRecord] = ()) -> None:
        self.prices = prices or Prices()
        self._devices: dict[object, Device] = {}
        """One of each kind that was seen."""
        self._types: dict[str, DeviceType] = {}
        self._units: dict[str, Units] = {}
        self._speeds = SpeedTable.of(stored=_document(stored))
        self._cached: dict[tuple[str, str], Speed] = {}
        self._told: dict[tuple[str, str], float] = {}
        """What the scheduler was told last."""

    def see(self, nodes: Iterable[Node]) -> tuple[DeviceType, ...]:
        """Take in the devices of nodes; returns models that were not known before.

        The units of a model stay as they were when it was first seen: what tenants hold is counted in them.
        """
        devices = [device for node in nodes for device in accelerators(node)]
        fresh = {key: device for device in devices if (key := _key(device)) not in self._devices}
        if not fresh:
            return ()
        self._devices |= fresh
        self._speeds = SpeedTable.of(self._devices.values(), stored=self._speeds.as_json())
        self._cached.clear()
        new = dict.fromkeys(device.model for device in fresh.values() if device.model not in self._types)
        for model in new:
            units = self._units[model] = units_of(model, self._speeds, self.prices)
            memory = self.memory(model)
            self._types[model] = DeviceType(
                model=model, memory_bytes=0 if memory is None else int(memory.value), units=units.value
            )
        return tuple(self._types[model] for model in new)

    def speed(self, kind: str, model: str) -> float:
        """What the scheduler reckons with."""
        value = self._told[kind, model] = self._value(kind, model)
        return value

    def tell_anew(self) -> None:
        """The scheduler is about to ask for all speeds again."""
        self._told.clear()

    def have_changed(self) -> bool:
        """Whether a speed is another one, by more than `_SMALL`, than the scheduler was told last."""
        return any(abs(self._value(*key) / told - 1) > _SMALL for key, told in self._told.items())

    def speed_of(self, kind: str, model: str) -> Speed:
        """How fast a model is for a kind of job, and how that is known; no value where the scheduler only assumes one."""
        if (known := self._cached.get((kind, model))) is None:
            try:
                known = self._speeds.relative(kind, model)
            except UsageError:  # a kind of load of the user's own
                known = Speed(value=None, provenance=None, samples=0)
            if known.provenance is Provenance.MEASURED and self._is_emulated(model):
                known = replace(known, provenance=Provenance.EMULATED)
            self._cached[kind, model] = known
        return known

    def memory(self, model: str) -> Figure | None:
        """Memory of each device of a model in bytes: the least that one says, else what is published; None: not known."""
        figures = [memory_of(device) for device in self._devices.values() if device.model == model]
        known = [figure for figure in figures if figure is not None]
        said = [figure for figure in known if figure.provenance is Provenance.MEASURED]
        least = min(said or known, key=lambda figure: figure.value, default=None)
        if least is not None and said and self._is_emulated(model):
            return replace(least, provenance=Provenance.EMULATED)
        return least

    def units(self, model: str) -> Units:
        """Equivalence units of a model that was seen."""
        return self._units.get(model) or units_of(model, self._speeds, self.prices)

    def observe(self, kind: str, model: str, units_per_device_second: float) -> SpeedRecord:
        """A job of that kind did so much a second on each device of a model; returns what is to be kept.

        Raises:
            UsageError: No such kind of job, or no throughput.
        """
        before = _records(self._speeds)
        self._speeds = self._speeds.observe(kind, model, units_per_device_second)
        self._cached.clear()
        (changed,) = set(_records(self._speeds)) - set(before)
        return changed

    def _value(self, kind: str, model: str) -> float:
        value = self.speed_of(kind, model).value
        return ASSUMED_SPEED if value is None else value

    def _is_emulated(self, model: str) -> bool:
        return is_emulated(device for device in self._devices.values() if device.model == model)


def _records(speeds: SpeedTable) -> tuple[SpeedRecord, ...]:
    return tuple(
        SpeedRecord(kind=kind, model=model, samples=seen.samples, mean_log=seen.mean_log)
        for kind, models in decode(Observations, speeds.as_json()).kinds.items()
        for model, seen in models.items()
    )


def _document(stored: Iterable[SpeedRecord]) -> JsonObject:
    """In the form that `SpeedTable.of` reads."""
    kinds: dict[str, dict[str, Observed]] = {}
    for record in stored:
        kinds.setdefault(record.kind, {})[record.model] = Observed(samples=record.samples, mean_log=record.mean_log)
    return encode(Observations(kinds=kinds))


def _key(device: Device) -> object:
    rates = device.measured
    measured = tuple(sorted((name, rate or 0.0) for name, rate in rates.matmul_flops.items()))
    bandwidth = rates.memory_bandwidth_bytes_per_s
    return device.model, device.vendor, device.memory_bytes, device.runtime.backend, measured, bandwidth, rates.disturbed
