"""The file in which people write what their devices cost. bedplate knows no prices: what is not written has none.

currency: CNY
energy_per_kwh: 0.8          # what power costs; leave it out where it is in the price of a device
overhead: 1.3                # power of the building over that of the devices (PUE)
devices:
A100: {per_hour: 12.5}     # a model, as tools print it or the capability table names it, or a family
910B3: {per_hour: 8, watts: 310, units: 1.0}
cpu: {per_hour: 0.1}       # one core
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated

from bedplate.compute.capabilities.table import CapabilityTable, published
from bedplate.core.errors import UsageError
from bedplate.core.settings import Range, read_settings, settings
from bedplate.documents.reading import read_document

CPU = "cpu"
"""What one core of a processor is called in the file."""


@settings
class DevicePrice:
    """What people say of one kind of device."""

    per_hour: Annotated[float, Range(0)] | None = None
    """Price of one device for an hour, in the file's currency."""
    watts: Annotated[float, Range(0)] | None = None
    """Power that one draws under load, where people have measured it; it is taken before the rated one."""
    units: Annotated[float, Range(0)] | None = None
    """Equivalence units of one device in quotas, where people want others than its relative speed."""


@settings
class Prices:
    """Everything that people say about costs."""

    currency: str = ""
    """Three letters, `CNY`; needed as soon as something has a price."""
    energy_per_kwh: Annotated[float, Range(0)] | None = None
    """Price of a kilowatt-hour; null: power is not paid for separately."""
    overhead: Annotated[float, Range(1)] = 1.0
    """Power of the building over that of the devices (PUE)."""
    devices: Mapping[str, DevicePrice] = field(default_factory=dict)
    """By model or family, or `cpu` for one core."""

    def __post_init__(self) -> None:
        is_priced = self.energy_per_kwh is not None or any(item.per_hour is not None for item in self.devices.values())
        if is_priced and not self.currency:
            raise UsageError("prices without a currency", seen="no 'currency'", expected="one, like CNY")

    def of(self, model: str, table: CapabilityTable | None = None) -> DevicePrice:
        """What people say of a model: by its own name, else by the table's name for it, else by its family."""
        known = {name.casefold(): price for name, price in self.devices.items()}
        found = (table or published()).find(model)
        names = [model] if found is None else [model, found.model, found.family]
        return next((known[name.casefold()] for name in names if name.casefold() in known), DevicePrice())


def read_prices(file: Path) -> Prices:
    """The prices that people have written.

    Raises:
        NotFoundError: There is no such file.
        ConfigurationError: Not YAML, an unknown key, a wrong value; names `file:line`.
    """
    document = read_document(file, expected="currency and devices")
    return read_settings(Prices, document.value, document.source)
