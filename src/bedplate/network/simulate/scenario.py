"""One question to the simulator, from words to numbers: this fabric, this traffic, this balancing."""

from __future__ import annotations

import time
from dataclasses import dataclass

from bedplate.core.json import JsonObject
from bedplate.core.measurement import Provenance
from bedplate.network.balance import open_balancer
from bedplate.network.balance.bound import best_worst_share
from bedplate.network.collectives.traffic import open_traffic
from bedplate.network.simulate.flow_level import LoadReport, simulate_streams
from bedplate.network.simulate.question import Scenario
from bedplate.network.topology.fabric import Fabric
from bedplate.network.topology.failures import fail_links
from bedplate.network.topology.paths import find_routes
from bedplate.network.topology.specification import open_topology


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioResult:
    """What came out; all of it simulated."""

    scenario: Scenario
    load: LoadReport
    bound_frac: float
    """Best worst-flow share that any paths allow; 0 where a flow has no live path."""
    seconds: float
    """Wall time of finding routes, balancing, simulating and bounding."""

    def as_json(self) -> JsonObject:
        """The object of `network simulate -o json`."""
        asked, load = self.scenario, self.load
        return {
            "topology": load.routes.fabric.topology.name,
            "traffic": asked.traffic,
            "balance": asked.balance,
            "seed": asked.seed,
            "failed": list(asked.failed_links),
            "num_flows": len(load.routes.flows),
            "num_flows_without_path": int((~load.routes.is_routable).sum()),
            "queue_pairs": load.most_queue_pairs,
            "flows": {"mean_frac": load.mean_flow_frac, "worst_frac": load.worst_flow_frac},
            "links": {"mean_frac": load.mean_link_frac, "max_frac": load.max_link_frac},
            "bound_frac": self.bound_frac,
            "provenance": Provenance.SIMULATED.value,
            "seconds": self.seconds,
        }


def run_scenario(scenario: Scenario) -> ScenarioResult:
    """Answer `scenario`.

    Raises:
        UsageError, NotFoundError, ConfigurationError: Invalid words, files or links.
        UnavailableError: A linear program is needed, and scipy is not installed.
    """
    balancer = open_balancer(scenario.balance)
    topology = fail_links(open_topology(scenario.topology), scenario.failed_links)
    flows = open_traffic(scenario.traffic, topology)
    started_s = time.perf_counter()
    routes = find_routes(Fabric.of(topology), flows)
    streams = balancer(routes, seed=scenario.seed, num_queue_pairs=scenario.num_queue_pairs)
    load = simulate_streams(routes, streams)
    bound_frac = best_worst_share(routes) if routes.is_routable.all() else 0.0
    return ScenarioResult(scenario=scenario, load=load, bound_frac=bound_frac, seconds=time.perf_counter() - started_s)
