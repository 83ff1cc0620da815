"""The cheapest node of a row of costs, in one pass without intermediate arrays: 10,000 nodes take some ten microseconds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from bedplate.compute.scheduler.placement.arrays import Bools, Floats, Ints, States

TIE = 1e-6
"""Costs nearer to each other are equal; they are in thousandths of a device, or scores of that size."""


@njit(cache=True)  # type: ignore[untyped-decorator]
def stale_nodes(known_N: Ints, version_N: Ints, may_use_N: Bools) -> Ints:
    """Nodes that may be used and have another version than the one known."""
    result = np.empty(len(version_N), np.int64)
    count = 0
    for node in range(len(version_N)):
        if known_N[node] != version_N[node] and may_use_N[node]:
            result[count] = node
            count += 1
    return result[:count].copy()


@njit(cache=True)  # type: ignore[untyped-decorator]
def cheapest_node(
    cost_N: Floats,
    detail_NJ: Any,
    may_use_N: Bools,
    bias_N: Floats,
    price_J: Floats,
    free: States,
    digest_N: Any,
    is_by_digest: bool,
) -> tuple[int, float]:
    """Index and cost of the node of least cost, by the rule for ties (`base.Ties`); -1 if it fits nowhere.

    Args:
        cost_N: By node; infinity where it does not fit.
        detail_NJ: What the placement takes of each of J things, not negative.
        may_use_N: Where it may go.
        bias_N: Added to the cost; none if empty.
        price_J: Of each of J things, not negative.
        free: Of all nodes.
        digest_N: Of the nodes' names.
        is_by_digest: Of equals the first by its digest, not the fullest.
    """
    total_N = np.full(len(cost_N), np.inf)
    base = -1
    for node in range(len(cost_N)):
        if may_use_N[node] and cost_N[node] < np.inf:
            total_N[node] = cost_N[node] + (bias_N[node] if len(bias_N) else 0.0)
            if base < 0 or total_N[node] < total_N[base]:
                base = node
    if base < 0:
        return -1, np.inf
    lowest = total_N[base]
    if len(price_J):
        lowest = total_N[base] + _paid(detail_NJ[base], price_J)
        for node in range(len(cost_N)):
            if total_N[node] <= lowest + TIE:  # what is paid is not negative
                total_N[node] += _paid(detail_NJ[node], price_J)
                lowest = min(lowest, total_N[node])
    best, best_share, best_cpu = -1, 0, 0
    for node in range(len(cost_N)):
        if total_N[node] > lowest + TIE:
            continue
        share = 0 if is_by_digest else free.shares[node].sum()
        cpu = 0 if is_by_digest else free.cpu[node]
        is_better = share < best_share or (share == best_share and cpu < best_cpu)
        is_equal = share == best_share and cpu == best_cpu
        if best < 0 or is_better or (is_equal and digest_N[node] < digest_N[best]):
            best, best_share, best_cpu = node, share, cpu
    return best, total_N[best]


@njit(cache=True)  # type: ignore[untyped-decorator]
def _paid(detail_J: Any, price_J: Floats) -> float:
    total = 0.0
    for at in range(len(price_J)):
        total += detail_J[at] * price_J[at]
    return total
