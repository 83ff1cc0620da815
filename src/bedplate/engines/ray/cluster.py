"""A Ray cluster of several raylets on this machine, on loopback: for trying, for tests, and to lose a node on purpose."""

from __future__ import annotations

from typing import Any

from bedplate.core.errors import NotFoundError

_HEALTH_CHECKS = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 1000,
    "health_check_failure_threshold": 3,
}
"""A lost node is known within about two seconds; Ray's own defaults take some fifteen."""
_OBJECT_STORE_BYTES = 80 * 1024 * 1024
_HEAD = 2
"""Last part of the head's address; the nodes follow. Ray takes 127.0.0.1 to mean the machine's outward address."""
NODE_LABEL = "bedplate-node"


class LocalRayCluster:
    """Raylets on loopback, labelled `bedplate-node: node-<i>`, beside a head that carries no work and so is never lost.

    Args:
        cores: Cores of each node, as Ray counts them.
    """

    def __init__(self, cores: tuple[int, ...] = (2, 2, 2)) -> None:
        from ray.cluster_utils import Cluster

        self._cores = cores
        self._cluster: Any = Cluster(
            initialize_head=True,
            head_node_args={**_arguments(_HEAD, 0), "_system_config": _HEALTH_CHECKS, "include_dashboard": False},
        )
        self._nodes: dict[str, Any] = {}
        self.restore()

    @property
    def address(self) -> str:
        """`host:port` of the cluster's control store."""
        return str(self._cluster.address)

    def add_node(self, label: str, cores: int) -> None:
        """Start one more raylet."""
        host = _HEAD + 1 + int(label.removeprefix("node-"))
        self._nodes[label] = self._cluster.add_node(**_arguments(host, cores), labels={NODE_LABEL: label})

    def remove_node(self, label: str) -> None:
        """Kill a raylet, with no goodbye.

        Raises:
            NotFoundError: No such node.
        """
        if label not in self._nodes:
            raise NotFoundError(f"no node '{label}'", expected=", ".join(sorted(self._nodes)) or "none is left")
        self._cluster.remove_node(self._nodes.pop(label), allow_graceful=False)

    def restore(self) -> None:
        """Start again the raylets that were removed."""
        for index, cores in enumerate(self._cores):
            if f"node-{index}" not in self._nodes:
                self.add_node(f"node-{index}", cores)

    def close(self) -> None:
        """Stop all raylets; this process leaves the cluster first, if it had joined."""
        import ray

        ray.shutdown()
        self._cluster.shutdown()


def _arguments(host: int, cores: int) -> dict[str, Any]:
    return {"node_ip_address": f"127.0.0.{host}", "num_cpus": cores, "object_store_memory": _OBJECT_STORE_BYTES}
