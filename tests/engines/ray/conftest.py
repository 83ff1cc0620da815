"""Engines on the session's cluster of three raylets with two cores each."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bedplate.engines.ray.cluster import LocalRayCluster
from bedplate.engines.remote.engine import RemoteEngine
from tests.engines.registry import ray_cluster


@pytest.fixture
def open_engine(tmp_path: Path) -> Iterator[Callable[[], RemoteEngine]]:
    """Opens engines on the cluster; what is open at the end of the test is closed."""
    opened: list[RemoteEngine] = []

    def open_one() -> RemoteEngine:
        opened.append(RemoteEngine(tmp_path / f"engine-{len(opened)}", ray_cluster()[1]))
        return opened[-1]

    yield open_one
    for engine in opened:
        engine.close()
    ray_cluster()[0].restore()


@pytest.fixture
def engine(open_engine: Callable[[], RemoteEngine]) -> RemoteEngine:
    return open_engine()


@pytest.fixture
def cluster() -> LocalRayCluster:
    return ray_cluster()[0]
