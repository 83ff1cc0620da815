"""Tenants, and how much of the cluster each may have.

Tenants are a tree, named by paths: `research` has `research/vision` in it. What a tenant is guaranteed, its children divide;
what it does not use, its siblings may borrow and give back when it is wanted (by preemption, where their jobs allow it).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from bedplate.core.errors import UsageError

ANY_MODEL = "any"
"""Stands for all models together, in equivalence units."""
CPU = "cpu"
"""Stands for cores."""
MEMORY = "memory"
"""Stands for host memory, in MiB; it counts in the fair share only."""


def resource_name(resource: str) -> str:
    """As people read it: the model, `device units` or `cores`."""
    return {ANY_MODEL: "device units", CPU: "cores"}.get(resource, resource)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What one tenant may have: devices of a model (`H100: 8`), units over all models (`any: 40`), or cores (`cpu: 64`).

    Devices are guaranteed by model first; what a tenant holds beyond that counts against its guarantee of `any`. Work with
    accelerators is judged by its accelerators, work without by its cores.
    """

    tenant: str
    guaranteed: Mapping[str, float] = field(default_factory=dict)
    """What it gets whenever it wants it; nothing where a model is not named."""
    limit: Mapping[str, float] = field(default_factory=dict)
    """The most that it may hold, borrowed devices included; no limit where a model is not named."""
    weight: float = 1.0
    """Its part of what is shared fairly, relative to its siblings."""
    lent: Mapping[str, float] = field(default_factory=dict)
    """How much of its guarantee it does without until `lent_until_s`: what others borrow of that is not reclaimed before."""
    lent_until_s: float = 0.0
    """In seconds of the scheduler's clock."""

    def __post_init__(self) -> None:
        amounts = [*self.guaranteed.values(), *self.limit.values(), *self.lent.values()]
        is_path = all(part and part == part.strip() for part in self.tenant.split("/"))
        if not is_path or not all(0 <= amount < math.inf for amount in amounts) or not 0 < self.weight < math.inf:
            raise UsageError(
                "no such quota",
                seen=f"tenant '{self.tenant}': guaranteed {dict(self.guaranteed)}, limit {dict(self.limit)}, "
                f"lent {dict(self.lent)}, weight {self.weight}",
                expected="a path such as a/b, finite amounts from 0 on, a finite weight above 0",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceType:
    """What the scheduler counts and compares devices by."""

    model: str
    memory_bytes: int = 0
    """0 where it is not known."""
    units: float = 1.0
    """Equivalence units of one device: how much quota of `any` it takes."""
    speed: Mapping[str, float] = field(default_factory=dict)
    """Relative speed by kind of job; 1.0 where a kind is not named."""
