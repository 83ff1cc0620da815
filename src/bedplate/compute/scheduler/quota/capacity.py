"""How much of each resource there is, in the amounts of the ledger."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Capacity:
    """Of all usable nodes. Its owner is the book of nodes."""

    amounts: dict[str, int] = field(default_factory=dict)
    """Thousandths of devices by model, of units (`any`), of cores; MiB of memory."""
    changes: int = 0
    """Grows with every change."""

    def of(self, resource: str) -> int:
        """Amount of one resource."""
        return self.amounts.get(resource, 0)
