"""What devices this machine has: one file per vendor, behind `base.DeviceProbe`."""

from bedplate.compute.inventory.base import DeviceProbe, HealthCode, SupportLevel, Vendor
from bedplate.compute.inventory.node import NODE_READER, this_node
from bedplate.compute.inventory.registry import VENDORS
from bedplate.compute.inventory.take import Inventory, ProbeTrouble, take_inventory

__all__ = [
    "NODE_READER",
    "VENDORS",
    "DeviceProbe",
    "HealthCode",
    "Inventory",
    "ProbeTrouble",
    "SupportLevel",
    "Vendor",
    "take_inventory",
    "this_node",
]
