"""How people name this engine: `ray://HOST:PORT`, `ray://auto`, `ray`; or `ray-local`, a cluster that lives as long as it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from bedplate.core.allocation import NodeAllocation
from bedplate.core.errors import UsageError
from bedplate.engines.node_reader import read_node
from bedplate.engines.ray.cluster import LocalRayCluster
from bedplate.engines.ray.transport import RayTransport, check_installed
from bedplate.engines.remote.engine import RemoteEngine

_NUM_NODES = 3


def open_engine(root: Path, location: str, node_reader: str, *, only: Sequence[NodeAllocation] = ()) -> RemoteEngine:
    """The engine of a Ray cluster; see `engines/base.EngineOpener`.

    Args:
        root: Logs and scratch directories go here, under the same path on every node.
        location: `HOST:PORT` of the cluster's control store, or `auto` for the cluster that `ray start` has started on this
            machine. Empty: what the environment variable RAY_ADDRESS says.
        node_reader: What reads a machine; each agent calls it.
        only: What of the nodes a scheduler has given; all where nothing is named.

    Raises:
        UsageError: There is no location, or it is no address.
        UnavailableError: Ray is not installed, or no cluster answers.
    """
    address = location or os.environ.get("RAY_ADDRESS")
    if not address:
        raise UsageError(
            "no Ray cluster was named",
            expected="--engine ray://HOST:PORT, or RAY_ADDRESS",
            next_step="'ray start --head' starts one on this machine; then --engine ray://auto",
        )
    with contextlib.ExitStack() as owned:
        transport = RayTransport(address, node_reader=node_reader)
        owned.callback(transport.close)
        return RemoteEngine(root, transport, owned=owned.pop_all(), only=only)


def open_local_engine(root: Path, location: str, node_reader: str, *, only: Sequence[NodeAllocation] = ()) -> RemoteEngine:
    """A Ray cluster of three nodes on this machine, for trying; it ends with the engine. See `engines/base.EngineOpener`.

    Its nodes share the machine's cores, one each at least.

    Raises:
        UsageError: A location was given; it is always this machine.
        UnavailableError: Ray is not installed, or a node did not come up.
    """
    if location:
        raise UsageError("the engine 'ray-local' is on this machine", seen=f"ray-local://{location}", expected="ray-local")
    check_installed()
    machine = read_node(node_reader)
    cores = max(1, len(machine.cores) // _NUM_NODES)
    with contextlib.ExitStack() as owned:
        cluster = LocalRayCluster(machine, (cores,) * _NUM_NODES)
        owned.callback(cluster.close)
        transport = RayTransport(node_reader=node_reader, cluster=cluster)
        owned.callback(transport.close)
        return RemoteEngine(root, transport, owned=owned.pop_all(), only=only)
