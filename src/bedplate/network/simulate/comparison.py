"""One collective under several balancings: laid over the hosts of a fabric, simulated, and summed up over hash seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bedplate.core.collectives import Collective
from bedplate.core.topology import Topology
from bedplate.network.balance import open_balancer
from bedplate.network.collectives.flows import flows_of
from bedplate.network.collectives.placement import RankOrder, place_ranks
from bedplate.network.collectives.scale import widen
from bedplate.network.simulate.flow_level import LoadReport, simulate_streams
from bedplate.network.topology.fabric import Fabric
from bedplate.network.topology.paths import Routes, find_routes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """One balancing under one rank order; medians where there are several seeds."""

    order: RankOrder
    balance: str
    mean_flow_frac: float
    worst_flow_frac: float
    link_mean_frac: float
    link_max_frac: float
    collective_s: float
    """Seconds of one operation at the rate of its slowest flow: the bandwidth term of a ring."""
    typical: LoadReport
    """The run whose time is the median."""


def lay_out(topology: Topology, collective: Collective, world_size: int, order: RankOrder) -> Routes:
    """The collective of a job of `world_size` ranks, widened to one rank per host (`collectives/scale.py`).

    Raises:
        UsageError: Nothing crosses between hosts.
    """
    hosts = place_ranks(topology, len(topology.hosts), order)
    groups = widen(collective, world_size, len(hosts))
    return find_routes(Fabric.of(topology), [flow for group in groups for flow in flows_of(group, hosts)])


def simulate_balancing(routes: Routes, balance: str, seed: int) -> LoadReport:
    """The routes under one balancing with one queue pair per flow."""
    return simulate_streams(routes, open_balancer(balance)(routes, seed=seed, num_queue_pairs=1))


def summarise(order: RankOrder, balance: str, loads: Sequence[LoadReport]) -> Outcome:
    """Medians over the runs of several seeds, at least one."""
    typical = sorted(loads, key=lambda load: load.transfer_s())[len(loads) // 2]
    return Outcome(
        order=order,
        balance=balance,
        mean_flow_frac=median(load.mean_flow_frac for load in loads),
        worst_flow_frac=median(load.worst_flow_frac for load in loads),
        link_mean_frac=median(load.mean_link_frac for load in loads),
        link_max_frac=median(load.max_link_frac for load in loads),
        collective_s=median(load.transfer_s() for load in loads),
        typical=typical,
    )
