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
_FIRST_HOST = 2
"""Ray takes 127.0.0.1 to mean the machine's outward address, so the nodes are 127.0.0.2 and up."""
NODE_LABEL = "bedplate-node"


class LocalRayCluster:
    """Raylets on 127.0.0.1; each is a node with its own cores as Ray counts them, labelled `bedplate-node: node-<i>`.

    Args:
        cores: Cores of each node.
    """

    def __init__(self, cores: tuple[int, ...] = (2, 2, 2)) -> None:
        from ray.cluster_utils import Cluster

        self._cluster: Any = Cluster(
            initialize_head=True,
            head_node_args={**_node_arguments(0, cores[0]), "_system_config": _HEALTH_CHECKS, "include_dashboard": False},
        )
        self._nodes: dict[str, Any] = {"node-0": self._cluster.head_node}
        for index, count in enumerate(cores[1:], start=1):
            self.add_node(f"node-{index}", count)

    @property
    def address(self) -> str:
        """`host:port` of the cluster's control store."""
        return str(self._cluster.address)

    def add_node(self, label: str, cores: int) -> None:
        """Start one more raylet."""
        self._nodes[label] = self._cluster.add_node(**_node_arguments(label.removeprefix("node-"), cores))

    def remove_node(self, label: str) -> None:
        """Kill a raylet, with no goodbye.

        Raises:
            NotFoundError: No such node, or the head: with it the cluster would end.
        """
        if label not in self._nodes or label == "node-0":
            removable = ", ".join(sorted(set(self._nodes) - {"node-0"}))
            raise NotFoundError(f"no node '{label}' that can be removed", expected=removable or "none is left")
        self._cluster.remove_node(self._nodes.pop(label), allow_graceful=False)

    def close(self) -> None:
        """Stop all raylets; this process leaves the cluster first, if it had joined."""
        import ray

        ray.shutdown()
        self._cluster.shutdown()


def _node_arguments(index: int | str, cores: int) -> dict[str, Any]:
    return {
        "node_ip_address": f"127.0.0.{_FIRST_HOST + int(index)}",
        "num_cpus": cores,
        "labels": {NODE_LABEL: f"node-{index}"},
        "object_store_memory": _OBJECT_STORE_BYTES,
    }
