"""Paths planned for exactly these flows, judged by the worst flow, and never worse than hashing.

What a planned flow may do:
    1 queue pair   one path. On an intact two-tier fabric an edge colouring gives each flow links of its own; where a leaf
                   lost an uplink that it needed, two flows must share a link and get 50 % under any plan.
    N queue pairs  up to N paths with unequal shares, each queue pair paced to its share at the sender. Shares come from a
                   linear program; each flow's largest N are kept and solved again.
    not given      as few as reach the bound: 1, 2, 4, … up to the number of paths.

The plans and hash ECMP (same seed and queue pairs) are all simulated; the best worst flow wins, then the best mean.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bedplate.network.balance import ecmp
from bedplate.network.balance.base import Streams, streams_on_paths, worst_and_mean_frac
from bedplate.network.balance.bound import best_worst_share
from bedplate.network.balance.one_path import few_paths, one_path_each
from bedplate.network.balance.shares import largest_floor, share_out
from bedplate.network.topology.fabric import Bools, Floats, Ints
from bedplate.network.topology.paths import Routes

_CLOSE_ENOUGH = 1e-3
"""Splitting stops once the worst flow is this near its bound, relatively."""


def balance(routes: Routes, *, seed: int, num_queue_pairs: int | None) -> Streams:
    """The best of the candidates; see above.

    Raises:
        UnavailableError: Flows must be split, and scipy is not installed.
    """
    path_F = one_path_each(routes)
    unsplit = streams_on_paths(routes, np.arange(len(path_F)), path_F, np.ones(len(path_F)))
    hashed = ecmp.balance(routes, seed=seed, num_queue_pairs=num_queue_pairs)
    best = max((unsplit, hashed), key=lambda streams: _merit(routes, streams))
    if num_queue_pairs == 1 or not routes.is_routable.any():
        return best
    bound_frac = best_worst_share(routes)
    candidates = _splits(routes, path_F, num_queue_pairs, bound_frac)
    while _merit(routes, best)[0] < bound_frac * (1 - _CLOSE_ENOUGH) and (candidate := next(candidates, None)) is not None:
        best = max(best, candidate, key=lambda streams: _merit(routes, streams))
    return best


def _merit(routes: Routes, streams: Streams) -> tuple[float, float]:
    worst_frac, mean_frac = worst_and_mean_frac(routes, streams)
    return round(worst_frac, 9), round(mean_frac, 9)


def _splits(routes: Routes, home_F: Ints, num_queue_pairs: int | None, bound_frac: float) -> Iterator[Streams]:
    """Plans to try, the ones with fewest queue pairs first; one for each way to price the distance from a flow's home path.

    The squared distance shifts flows along a chain of neighbouring paths, two queue pairs each (the wrap-around rule of
    McNaughton 1959); a price for leaving home at all moves few flows, but splits those finely.
    """
    num_paths = routes.live_FP.shape[1]
    allowed_FP = _enough_paths(routes, home_F, bound_frac)
    away_FP = (np.arange(num_paths) - home_F[:, None]) % num_paths
    prices = [(away_FP / num_paths) ** 2, (away_FP > 0).astype(np.float64)]
    solved: dict[int, Floats] = {}
    for limit in _limits(num_paths, num_queue_pairs):
        for price, cost_FP in enumerate(prices):
            if price not in solved:
                solved[price] = share_out(routes, allowed_FP, cost_FP, bound_frac)
            yield _as_streams(routes, _with_fewer_paths(routes, solved[price], cost_FP, limit), home_F)


def _limits(num_paths: int, num_queue_pairs: int | None) -> list[int]:
    if num_queue_pairs is not None:
        return [num_queue_pairs]
    return [limit for limit in (2, 4, 8, 16, 32, 64, 128) if limit < num_paths] + [num_paths]


def _enough_paths(routes: Routes, home_F: Ints, bound_frac: float) -> Bools:
    """A few paths of each flow where these reach the bound, else all."""
    few_FP = few_paths(home_F, routes.live_FP.shape[1])
    return few_FP if largest_floor(routes, few_FP) >= bound_frac * (1 - 1e-9) else routes.live_FP


def _with_fewer_paths(routes: Routes, share_FP: Floats, cost_FP: Floats, limit: int) -> Floats:
    """The `limit` largest shares of each flow, solved again over just these paths."""
    if ((share_FP > 0).sum(axis=1) <= limit).all():
        return share_FP
    rank_FP = np.argsort(np.argsort(-share_FP, axis=1, kind="stable"), axis=1)
    kept_FP = (share_FP > 0) & (rank_FP < limit)
    return share_out(routes, kept_FP, cost_FP, largest_floor(routes, kept_FP))


def _as_streams(routes: Routes, share_FP: Floats, home_F: Ints) -> Streams:
    """A queue pair for each share; flows without a live path keep their dead one, and get nothing."""
    is_home_FP = np.arange(share_FP.shape[1]) == home_F[:, None]
    share_FP = np.where(routes.is_routable[:, None], share_FP, is_home_FP)
    flow_S, path_S = np.nonzero(share_FP)
    return streams_on_paths(routes, flow_S, path_S, share_FP[flow_S, path_S])
