"""What network tests share: a fabric and its routes, from the words that people write."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import settings

from bedplate.network.collectives.traffic import open_traffic
from bedplate.network.topology.fabric import Fabric
from bedplate.network.topology.failures import fail_links
from bedplate.network.topology.paths import Routes, find_routes
from bedplate.network.topology.specification import open_topology

RoutesOf = Callable[..., Routes]

invariant = settings(max_examples=60, deadline=None, derandomize=True)
"""The same examples in every run."""


@pytest.fixture(scope="session")
def routes_of() -> RoutesOf:
    def make(topology: str, traffic: str, failed: Sequence[str] = ()) -> Routes:
        fabric = fail_links(open_topology(topology), failed)
        return find_routes(Fabric.of(fabric), open_traffic(traffic, fabric))

    return make
