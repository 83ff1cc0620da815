"""What every balancing algorithm takes and returns.

A balancer turns routes (flows and the paths open to them) into streams: what the fabric serves as one. A queue pair on
one path is a stream; a sprayed flow is a stream that uses many links a little.

Shape suffixes: F flows, P paths, H hops, S streams, E links.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bedplate.network.rates.max_min import max_min_share, sum_by
from bedplate.network.topology.fabric import Floats, Ints
from bedplate.network.topology.paths import Routes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Streams:
    """What crosses the fabric; read only."""

    flow_S: Ints
    """The flow that each stream belongs to; a flow may have several (queue pairs)."""
    hops_SH: Ints
    """Link ids; -1 pads."""
    usage_SH: Floats
    """Fraction of the stream's bytes that crosses each hop."""
    weight_S: Floats
    """Pace at which streams fill a shared link. A planned queue pair is paced at the sender in proportion to it."""

    def flow_rates(self, routes: Routes) -> Floats:
        """What each flow gets in bytes/s, shape (F,): the sum of its streams' rates."""
        return sum_by(self.flow_S, self.stream_rates(routes), len(routes.flows))

    def stream_rates(self, routes: Routes) -> Floats:
        """Max-min rate of each stream in bytes/s, shape (S,)."""
        capacity_E = routes.fabric.capacity_bytes_per_s_E
        return max_min_share(capacity_E, self.hops_SH, usage=self.usage_SH, weight=self.weight_S)

    @property
    def most_queue_pairs(self) -> int:
        """Streams of the flow that has most."""
        return int(np.bincount(self.flow_S).max())


class Balancer(Protocol):
    """Chooses paths. Pure: the same arguments give the same streams."""

    def __call__(self, routes: Routes, *, seed: int, num_queue_pairs: int | None) -> Streams:
        """Streams for every flow of `routes`.

        Args:
            routes: Flows and their paths. A flow without a live path stays on a dead one and gets nothing.
            seed: Seed of everything that is drawn or hashed.
            num_queue_pairs: Most queue pairs of a flow; None leaves it to the algorithm.
        """
        ...


def streams_on_paths(routes: Routes, flow_S: Ints, path_S: Ints, share_S: Floats) -> Streams:
    """One stream for each (flow, path, share of the flow's rate)."""
    hops_SH = routes.hops_FPH[flow_S, path_S]
    return Streams(flow_S=flow_S, hops_SH=hops_SH, usage_SH=np.ones(hops_SH.shape), weight_S=share_S)


def worst_and_mean_frac(routes: Routes, streams: Streams) -> tuple[float, float]:
    """Worst and mean rate as a fraction of the NIC, over flows that have a live path; (0, 0) where none has."""
    frac_F = (streams.flow_rates(routes) / routes.nic_bytes_per_s_F)[routes.is_routable]
    return (float(frac_F.min()), float(frac_F.mean())) if frac_F.size else (0.0, 0.0)
