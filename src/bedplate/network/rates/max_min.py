"""Who gets how much when streams share links fairly: weighted max-min rates.

The textbook fills all streams at one pace and freezes those of the next full link, one link at a time. We freeze, in each
round, every link that is a local minimum: one whose streams have no tighter link. Its level cannot fall any more, as
streams that freeze elsewhere first only leave it more room, so the answer is the same in far fewer rounds (1,024
streams over hashed paths: about 10 rounds instead of about 60 levels).

A stream is anything that the fabric serves as a unit: a queue pair on one path, or a flow sprayed over several links, of which
each carries the fraction `usage` of its bytes.
"""

from __future__ import annotations

import numpy as np

from bedplate.core.errors import UsageError
from bedplate.network.topology.fabric import Floats, Ints

_SAME = 1 - 1e-12


def max_min_share(
    capacity_bytes_per_s: Floats, hops: Ints, *, usage: Floats | None = None, weight: Floats | None = None
) -> Floats:
    """Rates at which no stream can gain without one that is no better off losing.

    Progressive filling over the streams-by-hops table; O(rounds * streams * hops).

    Args:
        capacity_bytes_per_s: Free capacity of each link, shape (num_links,), >= 0.
        hops: Link ids of each stream's path, shape (num_streams, max_hops), -1 pads.
        usage: Fraction of the stream's bytes that crosses each hop, same shape, > 0; all of them where None.
        weight: Pace at which each stream fills, shape (num_streams,), > 0; all alike where None.

    Returns:
        Rate of each stream in bytes/s, shape (num_streams,); 0 for a stream over a dead link or without hops.

    Raises:
        UsageError: A path names a link that does not exist.

    Source: Bertsekas & Gallager 1992, section 6.5.2; local bottlenecks after Ros-Giralt et al. 2019.
    """
    num_links, num_streams = len(capacity_bytes_per_s), len(hops)
    if hops.size and hops.max() >= num_links:
        raise UsageError("a path names a link that does not exist", seen=int(hops.max()), expected=f"0 to {num_links - 1}")
    stream, column = np.nonzero(hops >= 0)
    link = hops[stream, column]
    used = np.ones(len(link)) if usage is None else usage[stream, column]
    weight = np.ones(num_streams) if weight is None else weight
    free, rate = capacity_bytes_per_s.astype(np.float64), np.zeros(num_streams)
    while len(link):
        level = _levels(free, link, used * weight[stream])
        lowest_of_stream = np.full(num_streams, np.inf)
        np.minimum.at(lowest_of_stream, stream, level[link])
        lowest_on_link = np.full(num_links, np.inf)
        np.minimum.at(lowest_on_link, link, lowest_of_stream[stream])
        is_bottleneck = lowest_on_link >= level * _SAME
        frozen = np.zeros(num_streams, dtype=bool)
        frozen[stream[is_bottleneck[link]]] = True
        rate[frozen] = (weight * lowest_of_stream)[frozen]
        left = ~frozen[stream]
        taken = sum_by(link[~left], (used * rate[stream])[~left], num_links)
        free = np.maximum(free - taken, 0.0)
        stream, link, used = stream[left], link[left], used[left]
    return rate


def sum_by(key: Ints, value: Floats, num_keys: int) -> Floats:
    """Sum of the values of each key, shape (num_keys,)."""
    sums: Floats = np.bincount(key, value, minlength=num_keys).astype(np.float64, copy=False)
    return sums


def _levels(free: Floats, link: Ints, push: Floats) -> Floats:
    """Pace at which each link would be full; infinite for a link that no stream uses."""
    demand = sum_by(link, push, len(free))
    level: Floats = np.divide(free, demand, out=np.full(len(free), np.inf), where=demand > 0)
    return level
