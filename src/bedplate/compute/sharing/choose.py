"""What holds a task to its share of a device here: the first mechanism that is there and can give the share."""

from __future__ import annotations

import os
from collections.abc import Sequence

from bedplate.compute.sharing.base import LOGICAL, Enforcement, FractionEnforcer, Launch, Machine, Share
from bedplate.compute.sharing.hami_core import HAMI_CORE
from bedplate.compute.sharing.mps import MPS
from bedplate.compute.sharing.partitions import MIG, VNPU
from bedplate.compute.sharing.processors import CGROUP
from bedplate.core.devices import Device
from bedplate.core.errors import ResourcesError

ENFORCERS: tuple[FractionEnforcer, ...] = (MIG, VNPU, HAMI_CORE, MPS, CGROUP)
"""Hardware first, then what refuses memory in each process, then what a daemon shares."""


def enforcement(
    device: Device,
    share: Share,
    machine: Machine | None = None,
    enforcers: Sequence[FractionEnforcer] = ENFORCERS,
) -> Enforcement:
    """What holds a task to `share` of `device`; `logical`, with a reason a mechanism, where nothing does.

    Args:
        device: The device, as the inventory of its machine describes it.
        share: What the task gets.
        machine: Where mechanisms are looked for; None: this machine.
        enforcers: The mechanisms, the preferred one first.
    """
    machine = machine or Machine(environment=dict(os.environ))
    rejected: dict[str, str] = {}
    for enforcer in enforcers:
        if enforcer.vendors and _vendor(device) not in enforcer.vendors:
            continue
        if why_not := enforcer.detect(device, machine):
            rejected[enforcer.name] = why_not
        elif (launch := enforcer.launch(device, share, machine)) is None:
            rejected[enforcer.name] = f"it has no slice for {share.frac:.0%} and {share.memory_bytes / 1e9:.3g} GB"
        else:
            return Enforcement(
                mechanism=enforcer.name,
                memory=enforcer.enforces_memory,
                compute=enforcer.enforces_compute,
                launch=launch,
                rejected=rejected,
            )
    return Enforcement(mechanism=LOGICAL, memory=False, compute=False, launch=Launch(), rejected=rejected)


def enforced(device: Device, share: Share, machine: Machine | None = None) -> Enforcement:
    """As `enforcement`, for who wants no logical share.

    Raises:
        ResourcesError: Nothing would hold the task to its share; names each mechanism and why not.
    """
    found = enforcement(device, share, machine)
    if not found.is_logical:
        return found
    raise ResourcesError(
        f"nothing holds a task to a share of {device.model}",
        seen="; ".join(f"{name}: {why}" for name, why in found.rejected.items()) or f"no mechanism for '{device.vendor}'",
        expected="one of MIG, vNPU, MPS, HAMi-core or control groups",
        next_step="set one up, ask for whole devices, or allow shares that only the scheduler's books limit",
    )


def _vendor(device: Device) -> str:
    return "cpu" if device.kind == "cpu" else device.vendor
