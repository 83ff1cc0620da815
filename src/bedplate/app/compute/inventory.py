"""`compute inventory`: the devices of this machine, as the system describes them."""

from __future__ import annotations

from bedplate.compute.inventory import Inventory as Inventory
from bedplate.compute.inventory import take_inventory as take_inventory

__all__ = ["Inventory", "take_inventory"]
