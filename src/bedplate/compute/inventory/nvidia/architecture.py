"""What the compute capability of an NVIDIA GPU says of it. Source: CUDA programming guide, compute capabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bedplate.compute.inventory.base import Vendor

_GENERATIONS = {
    "6.0": "Pascal",
    "7.0": "Volta",
    "7.5": "Turing",
    "8.0": "Ampere",
    "8.9": "Ada Lovelace",
    "9.0": "Hopper",
    "10.0": "Blackwell",
}
"""First compute capability of each."""


def generation_of(compute_capability: str) -> str:
    """`9.0` -> `Hopper`; empty before Pascal."""
    known = [name for name in _GENERATIONS if _version(name) <= _version(compute_capability)]
    return _GENERATIONS[max(known, key=_version)] if known else ""


def precisions_of(vendor: Vendor, compute_capability: str) -> tuple[str, ...]:
    """What the tensor cores of an architecture compute with; nothing before Volta."""
    known = [name for name in vendor.precisions if _version(name) <= _version(compute_capability)]
    return vendor.precisions[max(known, key=_version)] if known else ()


def features_of(vendor: Vendor, compute_capability: str) -> tuple[str, ...]:
    """`sm_90` and the precisions."""
    return (f"sm_{compute_capability.replace('.', '')}", *precisions_of(vendor, compute_capability))


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))
