"""What a partly used device is still worth, by the share that is free on it.

Shares of a device come in a few sizes, and which of them go together decides how much of the devices is ever used: two of
470 fit, 470 and 650 do not. A linear programme over packings of a device (columns by Gilmore and Gomory, priced by a
knapsack) puts the expected arrivals onto all devices. Its dual prices say what a free share can still earn: the best packing
of it, at these prices. Prices of one instance jump between optima, so they are averaged over draws of the arrivals; draws
under which devices are left over say nothing.

Source: Gilmore & Gomory 1961, "A linear programming approach to the cutting-stock problem".
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numba import njit

from bedplate.compute.scheduler.placement.arrays import Floats, Ints
from bedplate.compute.scheduler.placement.cluster import Cluster
from bedplate.compute.scheduler.placement.mix import Mix
from bedplate.compute.scheduler.placement.request import WHOLE

NUM_DRAWS = 12
_MAX_ROUNDS = 60
_TOLERANCE = 1e-6


def device_values(cluster: Cluster, mix: Mix, generator: np.random.Generator) -> Floats:
    """Value of a device by its free thousandths, shape (WHOLE + 1,): 0 for none, `WHOLE` for a free device.

    Where no share of a device is ever asked for, only a free device has a value.
    """
    requests = cluster.requests
    num_devices = cluster.capacity_milli / WHOLE
    demand = float((mix.count_C * requests.devices * requests.share).sum()) / WHOLE
    scale = num_devices / max(demand, 1e-9)
    is_share_C = (requests.share > 0) & (requests.share < WHOLE)
    sizes = np.unique(requests.share[is_share_C & (mix.count_C > 0)])
    if not len(sizes):
        return np.concatenate([np.zeros(WHOLE), [float(WHOLE)]])
    expected = np.array([mix.count_C[requests.share == size].sum() for size in sizes]) * scale
    whole = float((mix.count_C * requests.devices)[requests.share == WHOLE].sum()) * scale
    packings = [_only(at, int(size), len(sizes)) for at, size in enumerate(sizes)]
    draws = [_values(sizes, arrivals, whole, num_devices, packings) for arrivals in _draws(expected, generator)]
    binding = [values for values in draws if values[WHOLE] > 0]
    values: Floats = np.mean(binding, axis=0) if binding else best_packings(sizes, sizes / WHOLE, WHOLE)[0]
    scaled: Floats = values / values[WHOLE] * WHOLE
    return scaled


def _draws(expected: Floats, generator: np.random.Generator) -> Iterator[Floats]:
    yield expected
    for _ in range(NUM_DRAWS - 1):
        yield generator.poisson(expected).astype(np.float64)


def _only(at: int, size: int, num_sizes: int) -> Ints:
    packing = np.zeros(num_sizes, np.int64)
    packing[at] = WHOLE // size
    return packing


def _values(sizes: Ints, arrivals: Floats, whole: float, num_devices: float, packings: list[Ints]) -> Floats:
    """Best packing of each free share at the programme's prices, as a fraction of a free device's (all 0 if devices are left
    over); adds to `packings`.
    """
    best = np.zeros(WHOLE + 1)
    for _ in range(_MAX_ROUNDS):
        price_S, device_price = _solve(sizes, arrivals, whole, num_devices, np.array(packings).T)
        price_S = np.where(arrivals > 0, price_S, 0.0)  # of what does not arrive the programme says nothing
        best, last = best_packings(sizes, price_S, WHOLE)
        if best[WHOLE] - device_price <= _TOLERANCE:
            break
        packings.append(packing_of(sizes, last, WHOLE))
    fraction: Floats = best / best[WHOLE] if best[WHOLE] > _TOLERANCE else np.zeros(WHOLE + 1)
    return fraction


def _solve(sizes: Ints, arrivals: Floats, whole: float, num_devices: float, packing_SP: Ints) -> tuple[Floats, float]:
    """Dual prices of each size and of a device. Variables: placed by size, packings used, whole devices placed."""
    from scipy.optimize import linprog
    from scipy.sparse import coo_array

    num_sizes, num_packings = packing_SP.shape
    size_at, packing_at = np.nonzero(packing_SP)
    last = num_sizes + num_packings
    rows = np.concatenate([np.arange(num_sizes), size_at, np.full(num_packings + 1, num_sizes)])
    columns = np.concatenate([np.arange(num_sizes), num_sizes + packing_at, np.arange(num_sizes, last + 1)])
    entries = np.concatenate([np.ones(num_sizes), -packing_SP[size_at, packing_at], np.ones(num_packings + 1)])
    matrix = coo_array((entries, (rows, columns)), shape=(num_sizes + 1, last + 1)).tocsr()
    gain = np.concatenate([-sizes / WHOLE, np.zeros(num_packings), [-1.0]])
    most = np.concatenate([arrivals, np.full(num_packings, np.inf), [whole]])
    limits = np.append(np.zeros(num_sizes), num_devices)
    bounds = np.column_stack([np.zeros(last + 1), most])
    solution = linprog(gain, A_ub=matrix, b_ub=limits, bounds=bounds, method="highs")
    prices: Floats = -solution.ineqlin.marginals
    return prices[:num_sizes], float(prices[num_sizes])


@njit(cache=True)  # type: ignore[untyped-decorator]
def best_packings(sizes: Ints, price_S: Floats, room: int) -> tuple[Floats, Ints]:
    """Unbounded knapsack for every room from 0 to `room`: (best value, the size taken last or -1), both (room + 1,)."""
    best, last = np.zeros(room + 1), np.full(room + 1, -1)
    for free in range(1, room + 1):
        best[free] = best[free - 1]
        for at in range(len(sizes)):
            if sizes[at] <= free and best[free - sizes[at]] + price_S[at] > best[free] + 1e-12:
                best[free] = best[free - sizes[at]] + price_S[at]
                last[free] = at
    return best, last


def packing_of(sizes: Ints, last: Ints, room: int) -> Ints:
    """How many of each size the best packing of `room` has, shape (S,)."""
    packing = np.zeros(len(sizes), np.int64)
    free = room
    while free > 0:
        if last[free] < 0:
            free -= 1
        else:
            packing[last[free]] += 1
            free -= int(sizes[last[free]])
    return packing
