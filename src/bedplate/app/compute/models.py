"""`compute models`: the capability table, and the speeds that it lets expect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bedplate.compute.capabilities.capability import PRECISIONS, Capability
from bedplate.compute.capabilities.roofline import JOB_KINDS
from bedplate.compute.capabilities.speed import Speed, SpeedTable
from bedplate.compute.capabilities.table import published
from bedplate.core.json import JsonObject
from bedplate.core.measurement import Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownModel:
    """One entry of the table."""

    capability: Capability
    speeds: dict[str, Speed]
    """By kind of job."""

    def as_json(self) -> JsonObject:
        """For `-o json`; a precision that is null is one whose rate is not published; `unconfirmed` names figures."""
        item = self.capability
        return {
            "model": item.model,
            "vendor": item.vendor,
            "family": item.family,
            "generation": item.generation,
            "year": item.year,
            "memory_bytes": item.memory,
            "memory_bandwidth_bytes_per_s": item.memory_bandwidth,
            "flops": {name: item.peak_flops(name) for name in item.precisions},
            "link": {"kind": item.link.kind, "bandwidth_bytes_per_s": item.link.bandwidth} if item.link else None,
            "watts": item.watts,
            "devices_per_card": item.devices_per_card,
            "aliases": list(item.aliases),
            "provenance": Provenance.PUBLISHED.value,
            "source": item.source,
            "confirmed": {read: list(names) for read, names in item.confirmed.items()},
            "unconfirmed": list(item.unconfirmed),
            "relative_speed": {name: speed.as_json() for name, speed in self.speeds.items()},
        }

    def as_row(self) -> Sequence[object]:
        """Cells of the table that people see; empty where a figure is not published, `-` where the model cannot.

        A figure that nobody confirmed ends in `?`.
        """
        item = self.capability
        memory = "" if item.memory is None else f"{item.memory / 2**30:g} GiB"
        bandwidth = "" if item.memory_bandwidth is None else f"{item.memory_bandwidth / 1e9:.0f}"
        watts = "" if item.watts is None else f"{item.watts:g}"
        rates = [self._rate(name) for name in PRECISIONS if name in ("fp32", "fp16", "bf16", "fp8")]
        speeds = ["" if (value := self.speeds[kind].value) is None else f"{value:.2f}" for kind in ("training", "decode")]
        shown = [self._marked("memory", memory), self._marked("memory_bandwidth", bandwidth), *rates]
        return (item.model, item.vendor, item.year, *shown, self._marked("watts", watts), *speeds)

    def _rate(self, precision: str) -> str:
        if precision not in self.capability.tflops:
            return "-"
        rate = self.capability.tflops[precision]
        return "" if rate is None else self._marked(precision, f"{rate:g}")

    def _marked(self, figure: str, text: str) -> str:
        return f"{text}?" if figure in self.capability.unconfirmed else text


def known_models(word: str | None = None) -> Sequence[KnownModel]:
    """The models of the table; with `word`, those of that name, family or vendor.

    Raises:
        NotFoundError: No such model, family or vendor.
    """
    speeds = SpeedTable.of()
    found = published().models if word is None else published().wanted(word)
    return [
        KnownModel(capability=item, speeds={kind: speeds.relative(kind, item.model) for kind in JOB_KINDS}) for item in found
    ]
