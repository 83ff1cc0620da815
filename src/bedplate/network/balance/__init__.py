"""Balancing: which path each flow takes. One file per algorithm, named here as people write them; loaded when used."""

from __future__ import annotations

import importlib

from bedplate.core.errors import check_known
from bedplate.network.balance.base import Balancer

BALANCERS: dict[str, str] = {
    "ecmp": "bedplate.network.balance.ecmp",
    "planned": "bedplate.network.balance.planned",
    "spray": "bedplate.network.balance.spray",
}
"""Name -> module, which has a `balance` that is a `Balancer`."""


def open_balancer(name: str) -> Balancer:
    """The balancer of that name.

    Raises:
        UsageError: Unknown; names the nearest.
    """
    check_known(name, BALANCERS, "unknown balancing")
    balancer: Balancer = importlib.import_module(BALANCERS[name]).balance
    return balancer
