"""Hash ECMP: the leaf picks the path by a hash of the five-tuple, blind to the other flows on it. The baseline.

Each queue pair of a flow has its own UDP source port (RoCEv2: 0xC000 to 0xFFFF, destination 4791) and so its own hash;
a flow's bytes are assigned to its queue pairs as they become free, so its rate is the sum of theirs. That favours hashing:
a sender that must fill all queue pairs equally waits for the slowest. Routing has converged: paths over dead links are
withdrawn.

With n flows over n links a link stays empty with chance (1 - 1/n)^n: the mean flow gets 65 % (n = 8), and the worst of
many leaves shares its link with three or four others (balls in bins, Raab & Steger 1998).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bedplate.network.balance.base import Streams, streams_on_paths
from bedplate.network.topology.fabric import Ints
from bedplate.network.topology.paths import Routes

_ROCE_PORT = 4791
_UDP = 17


def balance(routes: Routes, *, seed: int, num_queue_pairs: int | None) -> Streams:
    """One hashed path per queue pair, equal shares; one queue pair per flow if `num_queue_pairs` is None. O(flows * paths)."""
    queue_pairs = num_queue_pairs or 1
    flow_S = np.repeat(np.arange(len(routes.flows)), queue_pairs)
    hashes_S = five_tuple_hashes(routes, flow_S, seed)
    live_first_FP = np.argsort(~routes.live_FP, axis=1, kind="stable")
    num_live_F = np.maximum(routes.live_FP.sum(axis=1), 1)
    slot_S = (hashes_S % num_live_F[flow_S].astype(np.uint64)).astype(np.int64)
    share_S = np.full(len(flow_S), 1 / queue_pairs)
    return streams_on_paths(routes, flow_S, live_first_FP[flow_S, slot_S], share_S)


def five_tuple_hashes(routes: Routes, flow_S: Ints, seed: int) -> NDArray[np.uint64]:
    """A hash for each stream, from addresses, protocol and ports; `seed` draws source ports and salts the switches' hash."""
    nodes, flows = routes.fabric.nodes, routes.flows
    source_F = np.array([nodes[flow.source] for flow in flows], dtype=np.uint64)
    target_F = np.array([nodes[flow.target] for flow in flows], dtype=np.uint64)
    generator = np.random.default_rng(seed)
    salt = generator.integers(2**63, dtype=np.uint64)
    port_S = generator.integers(0xC000, 0x10000, size=len(flow_S), dtype=np.uint64)
    hashes_S = np.full(len(flow_S), salt)
    for field_S in (source_F[flow_S], target_F[flow_S], port_S, np.uint64(_ROCE_PORT), np.uint64(_UDP)):
        hashes_S = _mix(hashes_S ^ field_S)
    return hashes_S


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea & Flood 2014): every input bit moves every output bit."""
    x = (x + np.uint64(0x9E3779B97F4A7C15)).astype(np.uint64)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
