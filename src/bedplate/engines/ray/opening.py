"""How people name a Ray engine: a cluster that is there, or one on this machine that comes and goes with the engine."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from bedplate.core.errors import UsageError
from bedplate.engines.local.machine import usable_cores
from bedplate.engines.ray.cluster import LocalRayCluster
from bedplate.engines.ray.connection import RayConnection
from bedplate.engines.ray.engine import RayEngine

_NUM_NODES = 3


def open_engine(root: Path, address: str | None = None) -> RayEngine:
    """The engine of the cluster at `address`, or at `RAY_ADDRESS`.

    Args:
        root: Logs and scratch directories go here, under the same path on every node.
        address: `host:port`, or `auto` for the cluster that `ray start` has started on this machine.

    Raises:
        UsageError: Neither is given.
        UnavailableError: Ray is not installed, or no cluster answers.
    """
    address = address or os.environ.get("RAY_ADDRESS")
    if not address:
        raise UsageError(
            "which Ray cluster?",
            expected="--ray-address HOST:PORT, or RAY_ADDRESS",
            next_step="'ray start --head' starts one on this machine; then --ray-address auto",
        )
    with contextlib.ExitStack() as owned:
        connection = RayConnection(address)
        owned.callback(connection.close)
        return RayEngine(root, connection, owned=owned.pop_all())


def open_local_engine(root: Path) -> RayEngine:
    """A Ray cluster of three nodes on this machine, for trying; it ends with the engine.

    Its nodes share the machine's cores, one each at least.

    Raises:
        UnavailableError: Ray is not installed, or a node did not come up.
    """
    cores = max(1, len(usable_cores()) // _NUM_NODES)
    with contextlib.ExitStack() as owned:
        cluster = LocalRayCluster((cores,) * _NUM_NODES)
        owned.callback(cluster.close)
        connection = RayConnection(cluster=cluster)
        owned.callback(connection.close)
        return RayEngine(root, connection, owned=owned.pop_all())
