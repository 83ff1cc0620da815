"""What devices this machine has: one file a vendor, behind `base.DeviceProbe`."""

from bedplate.compute.inventory.base import PROBES, DeviceProbe, Inventory, ProbeTrouble, take_inventory

__all__ = ["PROBES", "DeviceProbe", "Inventory", "ProbeTrouble", "take_inventory"]
