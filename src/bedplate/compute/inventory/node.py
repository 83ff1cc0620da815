"""This machine as one node: what engines are given to place work on.

`app/wiring.py` reads it for an engine of this machine, and names it as `NODE_READER` to an engine whose agents read theirs on
the machines where they run.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

from bedplate.compute.backends.prepare import prepared
from bedplate.compute.inventory.base import Vendor
from bedplate.compute.inventory.registry import VENDORS
from bedplate.compute.inventory.take import take_inventory
from bedplate.core.devices import Node
from bedplate.core.errors import UnavailableError

NODE_READER = "bedplate.compute.inventory.node:this_node"
"""This file's function, as engines name it to their agents on other machines."""


def this_node(vendors: Sequence[Vendor] = VENDORS) -> Node:
    """This machine, as far as this process may use it; its memory is what the control groups leave of it.

    Each device says what a process on it needs (`Device.runtime`).

    Raises:
        UnavailableError: The processors cannot be read: not Linux, or /proc is hidden.
        UsageError: `BEDPLATE_BACKENDS` names something that is no backend.
    """
    inventory = take_inventory(vendors)
    cpus = [device for device in inventory.devices if device.kind == "cpu"]
    if not cpus:
        raise UnavailableError(
            "the processors of this machine cannot be read",
            seen="; ".join(trouble.message for trouble in inventory.troubles) or "no /proc/cpuinfo",
            expected="Linux with /proc and /sys mounted",
            next_step="bedplate doctor --no-measure",
        )
    troubles = tuple(f"probe '{item.probe}' is {item.kind}: {item.message}" for item in inventory.troubles)
    memory_bytes = sum(device.memory_bytes for device in cpus)
    return Node(id=socket.gethostname(), devices=prepared(inventory.devices), memory_bytes=memory_bytes, troubles=troubles)
