"""Relative speed of device models for a kind of job: what a scheduler believes when it chooses between them.

Problem: nobody knows in advance how a job runs on each model, and the first jobs that run say little. Idea: a seed from what
the devices can do (`roofline.py`), corrected by what jobs achieve, the more so the more there were. In logarithms, a model's
mean throughput is a scale that all models share (it depends on the unit: tokens, images), plus its seed, plus an error of its
own; the error is shrunk towards 0 by n / (n + PRIOR_SAMPLES), as the best linear predictor of a random effect does. So one
sample moves a speed by a fifth of what it says, and a model that ran alone is not moved at all: it has nobody to be faster
than. Means are of logarithms, so that a run that was ten times too fast weighs no more than one that was ten times too slow.

A table is immutable data: `observe` returns another one. O(models of the kind) an answer.

Source of the shrinkage: Robinson 1991, "That BLUP is a good thing".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from bedplate.compute.capabilities.capability import PRECISIONS, Capability
from bedplate.compute.capabilities.figures import DeviceFigures, Figure, figures_of, published_figures
from bedplate.compute.capabilities.roofline import Estimate, attainable, kind_of
from bedplate.compute.capabilities.table import CapabilityTable, published
from bedplate.core.devices import Device
from bedplate.core.errors import UsageError
from bedplate.core.json import Json, JsonObject
from bedplate.core.measurement import Provenance
from bedplate.core.messages import decode, encode

REFERENCE = "A100-SXM4-80GB"
"""The model whose speed is 1 for every kind of job, before and after corrections."""
PRIOR_SAMPLES = 4.0
"""What the seed weighs, in samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """How fast a model is for a kind of job."""

    value: float | None
    """Work for which the reference device takes one second, per second; None where nothing is known."""
    provenance: Provenance | None
    """`measured`: jobs ran, on this model and on another one to compare it with, or its rates were measured. None: no value."""
    samples: int
    """Jobs of this kind that the model has run."""
    precision: str = ""
    """What the seed says it computes in."""

    def as_json(self) -> JsonObject:
        """For `-o json`."""
        provenance = self.provenance.value if self.provenance else None
        return {"value": self.value, "provenance": provenance, "samples": self.samples, "precision": self.precision}


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What jobs of a kind achieved on a model."""

    samples: int = 0
    mean_log: float = 0.0
    """Mean of the natural logarithm of the units per device-second."""

    def with_sample(self, units_per_device_second: float) -> Observed:
        """The same with one more."""
        samples = self.samples + 1
        mean_log = self.mean_log + (math.log(units_per_device_second) - self.mean_log) / samples
        return Observed(samples=samples, mean_log=mean_log)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """All that jobs achieved: what is stored of a speed table."""

    kinds: Mapping[str, Mapping[str, Observed]] = field(default_factory=dict)
    """Job kind -> model -> what was achieved."""


class SpeedTable:
    """Relative speeds; `of` makes one from the devices that there are."""

    def __init__(
        self, figures: Mapping[str, DeviceFigures], table: CapabilityTable, observations: Observations | None = None
    ) -> None:
        self._figures, self._table = figures, table
        self._observations = observations or Observations()

    @classmethod
    def of(cls, devices: Iterable[Device] = (), table: CapabilityTable | None = None, stored: Json = None) -> SpeedTable:
        """The speeds of every published model, and of the models of `devices`.

        Args:
            devices: What is there; what was measured counts for all devices of a model, the slowest rate of them.
            table: The published figures; None: those that ship with bedplate.
            stored: What `as_json` gave earlier; None: nothing ran yet.

        Raises:
            MessageError: `stored` is something else.
        """
        table = table or published()
        figures = {model.model: published_figures(model) for model in table.models}
        for device in devices:
            name, mine = _name(table, device.model), figures_of(device, table)
            figures[name] = _cautious(figures[name], mine) if name in figures else mine
        return cls(figures, table, None if stored is None else decode(Observations, stored))

    def relative(self, job_kind: str, model: str) -> Speed:
        """How fast `model` is for a kind of job.

        Args:
            job_kind: `training`, `decode` … or with what distinguishes it: `training:llama-8b`. Only jobs of the same kind,
                counted in the same unit, are compared.
            model: As a device prints it, or as the capability table names it.

        Raises:
            UsageError: No such kind.
        """
        name = _name(self._table, model)
        seen = self._observations.kinds.get(job_kind, {})
        samples = seen[name].samples if name in seen else 0
        seed, fit = self._seed(job_kind, name), self._fit(job_kind, seen)
        if seed is not None:
            log_speed: float | None = self._log_seed(job_kind, seed) + fit.errors.get(name, 0.0)
        else:
            log_speed = seen[name].mean_log - fit.scale if samples and fit.scale is not None else None
        if log_speed is None:
            return Speed(value=None, provenance=None, samples=samples)
        has_run = samples and len(fit.errors) > (name in fit.errors)
        return Speed(
            value=math.exp(log_speed - fit.errors.get(REFERENCE, 0.0)),
            provenance=Provenance.MEASURED if has_run or seed is None else seed.provenance,
            samples=samples,
            precision=seed.precision if seed else "",
        )

    def observe(self, job_kind: str, model: str, units_per_device_second: float) -> SpeedTable:
        """The table after a job: what one device of `model` did a second, in the unit of that kind.

        Raises:
            UsageError: No such kind, or a throughput that is not a number above zero.
        """
        kind_of(job_kind)
        if not (math.isfinite(units_per_device_second) and units_per_device_second > 0):
            raise UsageError("not a throughput", seen=units_per_device_second, expected="a number above 0")
        name = _name(self._table, model)
        models = dict(self._observations.kinds.get(job_kind, {}))
        models[name] = models.get(name, Observed()).with_sample(units_per_device_second)
        kinds = {**self._observations.kinds, job_kind: models}
        return SpeedTable(self._figures, self._table, Observations(kinds=kinds))

    def as_json(self) -> JsonObject:
        """What jobs achieved; `of(stored=…)` reads it. The seeds are not in it: they are made anew from better figures."""
        return encode(self._observations)

    def _fit(self, job_kind: str, seen: Mapping[str, Observed]) -> _Fit:
        """The scale of the kind's unit, and how far each model that ran is from its seed."""
        seeds = {name: seed for name in seen if (seed := self._seed(job_kind, name)) is not None}
        weights = {name: seen[name].samples / (seen[name].samples + PRIOR_SAMPLES) for name in seeds}
        above = {name: seen[name].mean_log - self._log_seed(job_kind, seed) for name, seed in seeds.items()}
        if not above:
            return _Fit()
        scale = sum(weights[name] * above[name] for name in above) / sum(weights.values())
        return _Fit(scale=scale, errors={name: weights[name] * (above[name] - scale) for name in above})

    def _seed(self, job_kind: str, name: str) -> Estimate | None:
        figures = self._figures.get(name)
        return None if figures is None else attainable(kind_of(job_kind), figures)

    def _log_seed(self, job_kind: str, seed: Estimate) -> float:
        """Of a seed, relative to that of the reference."""
        reference = attainable(kind_of(job_kind), published_figures(_reference()))
        assert reference is not None  # the table has all its figures; a test holds it to that
        return math.log(seed.operations_per_s / reference.operations_per_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fit:
    scale: float | None = None
    """Logarithm of the units that the reference does a second; None where no model with a seed has run."""
    errors: Mapping[str, float] = field(default_factory=dict)
    """Of each model that has run and has a seed: what is added to the logarithm of its seed."""


def _reference() -> Capability:
    """Published figures, whatever was measured on such a device: 1 must mean the same everywhere."""
    found = published().find(REFERENCE)
    assert found is not None
    return found


def _name(table: CapabilityTable, model: str) -> str:
    """What the table calls a model; its own name where it is not in the table."""
    found = table.find(model)
    return model if found is None else found.model


def _cautious(earlier: DeviceFigures, mine: DeviceFigures) -> DeviceFigures:
    """Figures of a model from those of two of its devices: measured before published, and of two measured ones the lower."""
    precisions = {*earlier.precisions, *mine.precisions}
    rates = {name: _lower(earlier.flops.get(name), mine.flops.get(name)) for name in PRECISIONS}
    return replace(
        mine,
        precisions=tuple(name for name in PRECISIONS if name in precisions),
        flops={name: rate for name, rate in rates.items() if rate is not None},
        memory_bandwidth_bytes_per_s=_lower(earlier.memory_bandwidth_bytes_per_s, mine.memory_bandwidth_bytes_per_s),
    )


def _lower(one: Figure | None, other: Figure | None) -> Figure | None:
    given = [figure for figure in (one, other) if figure is not None]
    measured = [figure for figure in given if figure.provenance is Provenance.MEASURED]
    return min(measured or given, key=lambda figure: figure.value, default=None)
