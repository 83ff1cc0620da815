"""Bodies of requests; `core/messages.py` reads them, and refuses what is not in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainBody:
    """Why a node is drained."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaBody:
    """What a tenant may have."""

    guaranteed: Mapping[str, float] = field(default_factory=dict)
    limit: Mapping[str, float] = field(default_factory=dict)
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UserBody:
    """A new user."""

    role: str
    tenants: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadBody:
    """The load of a service."""

    value: float
    at_s: float | None = None
    """Seconds since the epoch; now if None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoBody:
    """Nothing: `{}`."""
