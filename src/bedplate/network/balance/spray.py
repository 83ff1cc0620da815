"""Per-packet spraying, at flow level: every flow is spread over all its live paths in proportion to their capacity.

This is the fluid limit of oblivious spraying: no queues, no reordering, no loss; what those cost is the packet
simulator's question. The spread is fixed, so one congested path holds back the entire flow (the receiver waits for all
packets). On an intact leaf-spine with as many hosts per leaf as spines it gives every flow of a permutation its NIC's rate.
"""

from __future__ import annotations

import numpy as np

from bedplate.network.balance.base import Streams
from bedplate.network.topology.fabric import Floats
from bedplate.network.topology.paths import Routes


def balance(routes: Routes, *, seed: int, num_queue_pairs: int | None) -> Streams:
    """One stream per flow, over the union of its paths; seed and queue pairs change nothing. O(flows * paths * hops)."""
    num_flows, num_paths, num_hops = routes.hops_FPH.shape
    share_FP = path_shares(routes)
    hops_FPH = np.where((share_FP > 0)[:, :, None], routes.hops_FPH, -1)
    usage_FPH = np.broadcast_to(share_FP[:, :, None], hops_FPH.shape)
    return Streams(
        flow_S=np.arange(num_flows),
        hops_SH=hops_FPH.reshape(num_flows, num_paths * num_hops),
        usage_SH=usage_FPH.reshape(num_flows, num_paths * num_hops),
        weight_S=np.ones(num_flows),
    )


def path_shares(routes: Routes) -> Floats:
    """Share of each path in its flow, by the path's narrowest link; a flow without a live path keeps its first, dead one."""
    capacity_E = np.append(routes.fabric.capacity_bytes_per_s_E, np.inf)
    narrowest_FP = np.where(routes.live_FP, capacity_E[routes.hops_FPH].min(axis=2), 0.0)
    narrowest_FP[~routes.is_routable, 0] = 1.0
    shares_FP: Floats = narrowest_FP / narrowest_FP.sum(axis=1, keepdims=True)
    return shares_FP
