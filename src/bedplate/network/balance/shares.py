"""Flows split over paths: linear programs over (flow, path) shares, solved by HiGHS (scipy).

A share is the part of its NIC's rate that a flow sends on a path. Links must not be over-full, a flow sends at most its
NIC's rate. Two questions: how large can the smallest flow be, and given that floor, which shares carry most in total while
each flow stays near the path it has (cost). Source: multi-commodity flow in path form, Ahuja, Magnanti & Orlin 1993,
chapter 17.

Shape suffixes: F flows, P paths, K allowed (flow, path) pairs, E links.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bedplate.core.errors import BedplateError, UnavailableError
from bedplate.network.topology.fabric import Array, Bools, Floats
from bedplate.network.topology.paths import Routes

_SLACK = 1e-9


def largest_floor(routes: Routes, allowed_FP: Bools) -> float:
    """The largest fraction of its NIC that all flows can have simultaneously over their allowed paths.

    Flows without an allowed path are left out; 0 where that leaves none.

    Raises:
        UnavailableError: scipy is not installed.
    """
    flow_K, _, carried_EK = _table(routes, allowed_FP)
    flows, row_K = np.unique(flow_K, return_inverse=True)
    if not len(flows):
        return 0.0
    sparse = _scipy_sparse()
    floor_column = sparse.csr_array(-np.ones((len(flows), 1)))
    sent_FK = _sums(row_K, len(flows))
    capacity_E, no_floor = _capacities(routes)[0], sparse.csr_array((carried_EK.shape[0], 1))
    solution = _solve(
        cost=np.append(np.zeros(len(flow_K)), -1.0),
        rows=[
            (sparse.hstack([carried_EK, no_floor]), -np.inf, capacity_E),
            (sparse.hstack([sent_FK, floor_column]), 0.0, np.inf),
        ],
        upper=1.0,
    )
    return float(solution[-1])


def share_out(routes: Routes, allowed_FP: Bools, cost_FP: Floats, floor_frac: float) -> Floats:
    """Shares that give every flow `floor_frac`, then the largest total, then the smallest cost; shape (F, P).

    Args:
        routes: Flows and paths.
        allowed_FP: Paths that may be used.
        cost_FP: Price of sending an entire flow over each path, 0 to 1.
        floor_frac: At most `largest_floor`.

    Raises:
        BedplateError: The floor cannot be reached.
        UnavailableError: scipy is not installed.
    """
    flow_K, path_K, carried_EK = _table(routes, allowed_FP)
    flows, row_K = np.unique(flow_K, return_inverse=True)
    total_worth = 10.0 * allowed_FP.shape[1]  # more than any chain of moves that one more unit can cause
    solution = _solve(
        cost=cost_FP[flow_K, path_K] - total_worth,
        rows=[(carried_EK, -np.inf, _capacities(routes)[0]), (_sums(row_K, len(flows)), floor_frac * (1 - _SLACK), 1.0)],
        upper=1.0,
    )
    share_FP = np.zeros(allowed_FP.shape)
    share_FP[flow_K, path_K] = np.where(solution > 1e-7, solution, 0.0)
    return share_FP


def _table(routes: Routes, allowed_FP: Bools) -> tuple[Array, Array, Any]:
    """Flow and path of each variable, and what one unit of it puts on each link (in units of the largest NIC)."""
    sparse = _scipy_sparse()
    flow_K, path_K = np.nonzero(allowed_FP & routes.live_FP)
    hops_KH = routes.hops_FPH[flow_K, path_K]
    variable, hop = np.nonzero(hops_KH >= 0)
    units = (routes.nic_bytes_per_s_F / _capacities(routes)[1])[flow_K[variable]]
    shape = (routes.fabric.num_links, len(flow_K))
    return flow_K, path_K, sparse.csr_array((units, (hops_KH[variable, hop], variable)), shape=shape)


def _capacities(routes: Routes) -> tuple[Floats, float]:
    """Capacity of each link in units of the largest NIC, and that NIC's rate: the solver likes numbers near 1."""
    unit = float(routes.nic_bytes_per_s_F.max())
    return routes.fabric.capacity_bytes_per_s_E / unit, unit


def _sums(row_K: Array, num_rows: int) -> Any:
    return _scipy_sparse().csr_array((np.ones(len(row_K)), (row_K, np.arange(len(row_K)))), shape=(num_rows, len(row_K)))


def _solve(cost: Floats, rows: list[tuple[Any, Any, Any]], upper: float) -> Floats:
    from scipy.optimize import Bounds, LinearConstraint, milp

    constraints = [LinearConstraint(matrix, lower, above) for matrix, lower, above in rows]
    result = milp(cost, constraints=constraints, bounds=Bounds(0.0, upper))
    if result.x is None:
        raise BedplateError(
            "the linear program of the path plan has no solution",
            seen=result.message,
            expected="a floor that the allowed paths can carry",
        )
    solution: Floats = result.x
    return solution


def _scipy_sparse() -> Any:
    try:
        from scipy import sparse
    except ImportError as error:
        raise UnavailableError(
            "this plan needs a linear program, and scipy is not installed", next_step="pip install 'bedplate[network]'"
        ) from error
    return sparse
