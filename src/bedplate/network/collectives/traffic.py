"""What people write for traffic: `ring-shift`, `permutation:SEED`, or a job file; each becomes flows between hosts.

Patterns carry one flow per host, of one byte: only their rates matter. A job's flows carry the bytes of one optimiser step.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from bedplate.core.collectives import Flow
from bedplate.core.errors import UsageError, check_known
from bedplate.core.topology import Topology
from bedplate.network.collectives.flows import flows_of
from bedplate.network.collectives.job import read_job
from bedplate.network.collectives.placement import RankOrder, hosts_by_leaf, place_ranks

PATTERNS = ("ring-shift", "permutation")
_SUPPORTED = "ring-shift, permutation:SEED, or a job file (JSON with world_size and collectives)"


def open_traffic(specification: str, topology: Topology, order: RankOrder = RankOrder.SPREAD) -> tuple[Flow, ...]:
    """The flows that `specification` names, on the hosts of `topology`.

    Args:
        specification: A pattern, or the path of a job file or training folder.
        topology: Whose hosts send.
        order: How a job's ranks are distributed over the hosts; ignored by patterns.

    Raises:
        UsageError: An unknown pattern, a seed that is not a number, a fabric that the pattern does not fit.
        NotFoundError, ConfigurationError: As `read_job`.
    """
    name, colon, argument = specification.partition(":")
    if name == "ring-shift" and not colon:
        return ring_shift(topology)
    if name == "permutation":
        return permutation(topology, _seed(specification, argument))
    if specification.endswith(".cm"):
        raise UsageError("htsim traffic matrices are not supported yet", seen=specification, expected=_SUPPORTED)
    if not Path(specification).exists() and (colon or not Path(specification).suffix):
        check_known(name, PATTERNS, "unknown traffic", seen=specification, expected=_SUPPORTED)
    return _job_flows(Path(specification), topology, order)


def ring_shift(topology: Topology) -> tuple[Flow, ...]:
    """Host i to host i + hosts per leaf, cyclic: what neighbouring leaves exchange in rings of one host per leaf.

    Raises:
        UsageError: Leaves with different numbers of hosts, or fewer than two leaves.
    """
    groups = hosts_by_leaf(topology)
    sizes = sorted({len(group) for group in groups})
    if len(sizes) != 1 or len(groups) < 2:
        raise UsageError(
            "ring-shift needs two or more leaves with equally many hosts",
            seen=f"{len(groups)} leaves with {', '.join(map(str, sizes)) or 'no'} hosts",
            next_step="use permutation:SEED",
        )
    hosts, step = sum(groups, ()), sizes[0]
    return tuple(_flow(host, hosts[(index + step) % len(hosts)]) for index, host in enumerate(hosts))


def permutation(topology: Topology, seed: int) -> tuple[Flow, ...]:
    """Each host sends to one other and receives from one: a random permutation without fixed points.

    Drawn uniformly: permutations are drawn until one has no fixed point (2.7 on average).

    Raises:
        UsageError: Fewer than two hosts.
    """
    hosts = topology.hosts
    if len(hosts) < 2:
        raise UsageError("a permutation needs two hosts or more", seen=len(hosts), next_step="take a larger fabric")
    generator, own = np.random.default_rng(seed), np.arange(len(hosts))
    while (targets := generator.permutation(len(hosts)))[targets == own].size:
        pass
    return tuple(_flow(host, hosts[target]) for host, target in zip(hosts, targets.tolist(), strict=True))


def _flow(source: str, target: str) -> Flow:
    return Flow(source=source, target=target, size_bytes=1.0)


def _seed(specification: str, text: str) -> int:
    if not text.isdecimal():
        raise UsageError("a permutation needs a seed", seen=specification, expected="permutation:7")
    return int(text)


def _job_flows(path: Path, topology: Topology, order: RankOrder) -> tuple[Flow, ...]:
    job = read_job(path)
    hosts = place_ranks(topology, job.world_size, order)
    return tuple(
        replace(flow, size_bytes=flow.size_bytes * collective.per_step)
        for collective in job.collectives
        for flow in flows_of(collective, hosts)
    )
