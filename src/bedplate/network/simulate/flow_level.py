"""A fabric under steady load: what every flow and every link gets when streams share links max-min fairly.

No packets, queues or start-up: all flows are always active. Good for "which links are hot, and which flows suffer",
not for latency.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bedplate.network.balance.base import Streams
from bedplate.network.rates.max_min import sum_by
from bedplate.network.topology.fabric import Floats
from bedplate.network.topology.paths import Routes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadReport:
    """Shares of flows and links; everything here is simulated. F counts flows, E links."""

    routes: Routes
    rate_bytes_per_s_F: Floats
    flow_frac_F: Floats
    """Rate as a fraction of the source's NIC."""
    link_frac_E: Floats
    """Load of each link as a fraction of its capacity; 0 for a link that is down."""
    most_queue_pairs: int
    """Queue pairs of the flow that has most."""

    @property
    def fabric_link_frac(self) -> Floats:
        """Utilisation of the directed links between switches, those that are down left out."""
        fabric = self.routes.fabric
        return self.link_frac_E[fabric.joins_switches_E & (fabric.capacity_bytes_per_s_E > 0)]

    @property
    def worst_flow_frac(self) -> float:
        """Share of the flow that gets least; 0 where a flow has no live path."""
        return float(self.flow_frac_F.min())

    @property
    def mean_flow_frac(self) -> float:
        """Mean share of the flows."""
        return float(self.flow_frac_F.mean())

    @property
    def mean_link_frac(self) -> float:
        """Mean utilisation of the directed fabric links that are up; 0 where there are none."""
        return float(self.fabric_link_frac.mean()) if self.fabric_link_frac.size else 0.0

    @property
    def max_link_frac(self) -> float:
        """Utilisation of the hottest directed fabric link."""
        return float(self.fabric_link_frac.max()) if self.fabric_link_frac.size else 0.0

    def transfer_s(self) -> float:
        """Seconds until the last flow has sent its bytes at these rates; infinite where a flow gets none.

        For one ring collective this is its bandwidth term: every step waits for the slowest neighbour pair. Latency and what
        faster flows leave to slower ones when they end are not in it.
        """
        size_bytes_F = np.array([flow.size_bytes for flow in self.routes.flows])
        sends = size_bytes_F > 0
        if (self.rate_bytes_per_s_F[sends] == 0).any():
            return float("inf")
        return float((size_bytes_F[sends] / self.rate_bytes_per_s_F[sends]).max(initial=0.0))


def simulate_streams(routes: Routes, streams: Streams) -> LoadReport:
    """Max-min rates of the streams, and the load that they put on links. O(rounds * streams * hops)."""
    rate_S = streams.stream_rates(routes)
    rate_F = sum_by(streams.flow_S, rate_S, len(routes.flows))
    fabric = routes.fabric
    crosses = streams.hops_SH >= 0
    carried_SH = streams.usage_SH * rate_S[:, None]
    load_E = sum_by(streams.hops_SH[crosses], carried_SH[crosses], fabric.num_links)
    capacity_E = fabric.capacity_bytes_per_s_E
    return LoadReport(
        routes=routes,
        rate_bytes_per_s_F=rate_F,
        flow_frac_F=rate_F / routes.nic_bytes_per_s_F,
        link_frac_E=np.divide(load_E, capacity_E, out=np.zeros(fabric.num_links), where=capacity_E > 0),
        most_queue_pairs=streams.most_queue_pairs,
    )
