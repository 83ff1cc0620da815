"""Claim: planned paths give the worst flow its bound, where hash ECMP leaves it a quarter.

Peers, all in the same flow-level simulator (nothing is measured on a network):
    ecmp-1         hash ECMP, one queue pair per flow
    ecmp-16        E-ECMP: 16 queue pairs per flow, bytes assigned to whichever is free (the flow's rate is the sum)
    ecmp-16-equal  the same, each queue pair filled equally, so a flow waits for its slowest (16 times the slowest)
    spray          per-packet spraying, fluid limit
    planned-1      ours, one path per flow
    planned-4      ours, up to four paths per flow with planned shares

Hashing is the mean over seeds; permutations run over several seeds, and their figures are means over them. Run:

    python benchmarks/network_planned_vs_ecmp.py [--data DIR] [-o json]

DIR holds fabrics of your own (*.yaml, *.yml, *.json as `bedplate network simulate --topology` reads them) and, optionally, a
job (training.json); they take the place of the generated fabrics and patterns.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np

from bedplate.cli.terminal.output import note, print_json, print_table
from bedplate.network.balance import open_balancer
from bedplate.network.balance.base import Streams
from bedplate.network.balance.bound import best_worst_share
from bedplate.network.collectives.job import JOB_FILE
from bedplate.network.collectives.traffic import open_traffic
from bedplate.network.simulate.flow_level import simulate_streams
from bedplate.network.topology.fabric import Fabric
from bedplate.network.topology.failures import fail_links
from bedplate.network.topology.paths import Routes, find_routes
from bedplate.network.topology.specification import open_topology

PEERS = {
    "ecmp-1": ("ecmp", 1),
    "ecmp-16": ("ecmp", 16),
    "ecmp-16-equal": ("ecmp", 16),
    "spray": ("spray", 1),
    "planned-1": ("planned", 1),
    "planned-4": ("planned", 4),
}
HASH_SEEDS = range(11)
PERMUTATION_SEEDS = range(1, 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One fabric with some traffic; `traffics` are averaged."""

    topology: str
    label: str
    traffics: tuple[str, ...]
    failed: tuple[str, ...] = ()


def generated_cases() -> Iterator[Case]:
    """8x8 and 16x16, intact and with one uplink down."""
    permutations = tuple(f"permutation:{seed}" for seed in PERMUTATION_SEEDS)
    for size in ("8x8", "16x16"):
        for failed in ((), ("leaf0-spine1",)):
            yield Case(topology=f"leaf-spine:{size}", label="ring-shift", traffics=("ring-shift",), failed=failed)
            yield Case(topology=f"leaf-spine:{size}", label="permutations", traffics=permutations, failed=failed)


def cases_of(folder: Path) -> Iterator[Case]:
    """Every fabric file of the folder, with its job or with permutations."""
    job = folder / JOB_FILE
    traffics = (str(job),) if job.is_file() else tuple(f"permutation:{seed}" for seed in PERMUTATION_SEEDS)
    label = "job" if job.is_file() else "permutations"
    for file in sorted(folder.iterdir()):
        if file.suffix in (".yaml", ".yml", ".json") and file.name != JOB_FILE:
            yield Case(topology=str(file), label=label, traffics=traffics)


def measure(case: Case) -> list[dict[str, object]]:
    """One row per peer: means over traffics, and over hash seeds where the peer hashes."""
    topology = fail_links(open_topology(case.topology), case.failed)
    fabric = Fabric.of(topology)
    tables = [find_routes(fabric, open_traffic(traffic, topology)) for traffic in case.traffics]
    bound_frac = mean(best_worst_share(routes) for routes in tables)
    rows = []
    for peer, (balance, queue_pairs) in PEERS.items():
        seeds = HASH_SEEDS if balance == "ecmp" else range(1)
        figures = [figures_of(routes, peer, balance, queue_pairs, seed) for routes in tables for seed in seeds]
        worst_frac, mean_frac, link_frac, seconds = (mean(column) for column in zip(*figures, strict=True))
        rows.append(
            {
                "topology": topology.name,
                "traffic": case.label,
                "failed": list(case.failed),
                "balance": peer,
                "flows": {"mean_frac": mean_frac, "worst_frac": worst_frac},
                "links": {"mean_frac": link_frac},
                "bound_frac": bound_frac,
                "seconds": seconds,
                "provenance": "simulated",
            }
        )
    return rows


def figures_of(routes: Routes, peer: str, balance: str, queue_pairs: int, seed: int) -> tuple[float, float, float, float]:
    """Worst flow, mean flow, mean link, seconds to plan and simulate."""
    started_s = time.perf_counter()
    streams = open_balancer(balance)(routes, seed=seed, num_queue_pairs=queue_pairs)
    load = simulate_streams(routes, streams)
    seconds = time.perf_counter() - started_s
    if not peer.endswith("-equal"):
        return load.worst_flow_frac, load.mean_flow_frac, load.mean_link_frac, seconds
    frac = equal_parts_frac(routes, streams)
    return float(frac.min()), float(frac.mean()), load.mean_link_frac * float(frac.mean() / load.mean_flow_frac), seconds


def equal_parts_frac(routes: Routes, streams: Streams) -> np.ndarray:
    """Share of each flow that waits for its slowest queue pair."""
    slowest = np.full(len(routes.flows), np.inf)
    np.minimum.at(slowest, streams.flow_S, streams.stream_rates(routes))
    return slowest * np.bincount(streams.flow_S) / routes.nic_bytes_per_s_F


def main() -> None:
    """Run the comparison for the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with fabrics (and training.json) of your own")
    parser.add_argument("-o", "--output", choices=["table", "json"], default="table")
    arguments = parser.parse_args()
    cases = cases_of(arguments.data) if arguments.data else generated_cases()
    rows = [row for case in cases for row in measure(case)]
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, numpy {np.__version__}"
    seeds = {"hash": list(HASH_SEEDS), "permutations": list(PERMUTATION_SEEDS)}
    if arguments.output == "json":
        print_json({"machine": machine, "seeds": seeds, "results": rows})
        return
    print_table(
        ["fabric", "down", "traffic", "balance", "worst flow", "mean flow", "mean link", "bound", "ms"],
        [table_row(row) for row in rows],
    )
    note(f"simulated; {machine}; seeds {json.dumps(seeds)}")


def table_row(row: dict[str, object]) -> list[object]:
    """A row for people."""
    flows, links = row["flows"], row["links"]
    assert isinstance(flows, dict)
    assert isinstance(links, dict)
    assert isinstance(row["failed"], list)
    assert isinstance(row["seconds"], float)
    assert isinstance(row["bound_frac"], float)
    values: list[float] = [flows["worst_frac"], flows["mean_frac"], links["mean_frac"], row["bound_frac"]]
    fractions = [f"{100 * value:.1f} %" for value in values]
    return [row["topology"], ",".join(row["failed"]), row["traffic"], row["balance"], *fractions, f"{1e3 * row['seconds']:.1f}"]


if __name__ == "__main__":
    main()
