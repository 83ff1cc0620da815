"""Money and energy of device time. Every figure says where it comes from; what is not known is said and not guessed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from bedplate.compute.capabilities.figures import Figure, published_figure
from bedplate.compute.capabilities.table import CapabilityTable, published
from bedplate.compute.costs.prices import Prices
from bedplate.core.errors import UsageError
from bedplate.core.json import JsonObject
from bedplate.core.measurement import Provenance

_JOULES_PER_KWH = 3.6e6
_RANK = (Provenance.PUBLISHED, Provenance.SIMULATED, Provenance.REPLAYED, Provenance.EMULATED, Provenance.MEASURED)
"""From what says least about this hardware to what says most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Time that a job spends, or is planned to spend, on devices of one model."""

    model: str
    """As a device prints it; `cpu` for processors, whose time is counted by the core."""
    device_seconds: float
    """Devices times seconds, 0 or more."""
    provenance: Provenance
    """`measured` of a job that ran, `simulated` of a plan."""
    watts: float | None = None
    """Mean power of one device while the job ran, as its vendor's tool measured it."""

    def __post_init__(self) -> None:
        if self.device_seconds < 0 or (self.watts is not None and self.watts < 0):
            raise UsageError("no such use of a device", seen=self, expected="0 or more of everything")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCost:
    """What a job costs."""

    money: Figure | None
    """In `currency`; None where a price is missing."""
    currency: str
    joules: Figure | None
    """Of its devices, and of the building that they need; None where a power is not known."""
    without_price: tuple[str, ...] = ()
    """Models that have no price."""
    without_watts: tuple[str, ...] = ()
    """Models whose power nobody knows."""

    def per(self, amount: float) -> tuple[float | None, float | None]:
        """Money and joules for each of `amount` (tokens, steps); None where there are none.

        Raises:
            UsageError: An amount that is not above 0.
        """
        if not amount > 0:
            raise UsageError("nothing to divide a cost by", seen=amount, expected="an amount above 0")
        money, joules = (None if figure is None else figure.value / amount for figure in (self.money, self.joules))
        return money, joules

    def as_json(self) -> JsonObject:
        """For plans and `-o json`."""
        return {
            "money": self.money.as_json() if self.money else None,
            "currency": self.currency or None,
            "joules": self.joules.as_json() if self.joules else None,
            "without_price": list(self.without_price),
            "without_watts": list(self.without_watts),
        }


def cost_of(usages: Iterable[Usage], prices: Prices, table: CapabilityTable | None = None) -> JobCost:
    """What device time costs.

    Money is that of the devices by the hour and, where power has a price, that of the energy. Energy is power times time times
    the building's overhead; power is what was measured while the job ran, else what the user wrote, else what is rated, which
    is an upper bound and called `published`.

    Args:
        usages: Time by model.
        prices: What the user wrote.
        table: The published figures; None: those that ship with bedplate.
    """
    usages, table = list(usages), table or published()
    powers = [_watts(usage, prices, table) for usage in usages]
    without_watts = tuple(dict.fromkeys(usage.model for usage, power in zip(usages, powers, strict=True) if power is None))
    joules = _joules(usages, powers, prices) if usages and not without_watts else None
    hourly = [prices.of(usage.model, table).per_hour for usage in usages]
    without_price = tuple(dict.fromkeys(usage.model for usage, price in zip(usages, hourly, strict=True) if price is None))
    money = None
    if usages and not without_price and (prices.energy_per_kwh is None or joules is not None):
        devices = sum(usage.device_seconds / 3600 * (price or 0.0) for usage, price in zip(usages, hourly, strict=True))
        energy = (prices.energy_per_kwh or 0.0) * (joules.value if joules else 0.0) / _JOULES_PER_KWH
        power = [joules] if energy and joules else []
        inputs = [usage.provenance for usage in usages] + [figure.provenance for figure in power]
        money = Figure(
            value=devices + energy,
            provenance=_weakest(inputs),
            source="the user's prices",
            is_confirmed=all(figure.is_confirmed for figure in power),
        )
    return JobCost(
        money=money,
        currency=prices.currency,
        joules=joules,
        without_price=without_price,
        without_watts=without_watts,
    )


def _watts(usage: Usage, prices: Prices, table: CapabilityTable) -> Figure | None:
    """Power of one device, and how that is known."""
    if usage.watts is not None:
        return Figure(value=usage.watts, provenance=usage.provenance, source="measured while the job ran")
    if (written := prices.of(usage.model, table).watts) is not None:
        return Figure(value=written, provenance=Provenance.PUBLISHED, source="the user's file of prices")
    capability = table.find(usage.model)
    rated = None if capability is None else published_figure(capability, "watts", capability.watts)
    return None if rated is None else replace(rated, source=f"rated; {rated.source}")


def _joules(usages: Sequence[Usage], powers: Sequence[Figure | None], prices: Prices) -> Figure:
    known = [power for power in powers if power is not None]
    total = sum(usage.device_seconds * power.value for usage, power in zip(usages, known, strict=True))
    provenance = _weakest([usage.provenance for usage in usages] + [power.provenance for power in known])
    source = "; ".join(dict.fromkeys(power.source for power in known))
    is_confirmed = all(power.is_confirmed for power in known)
    return Figure(value=total * prices.overhead, provenance=provenance, source=source, is_confirmed=is_confirmed)


def _weakest(provenances: Iterable[Provenance]) -> Provenance:
    return min(provenances, key=_RANK.index)
