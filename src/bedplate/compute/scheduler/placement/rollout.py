"""`rollout`: fill each node with sampled futures and place where the expected waste grows least; bedplate's own.

Fragmentation as `fgd` counts it looks one request ahead. Here a cost has three parts, in thousandths of a device:

1. *Waste after a rollout.* Sequences of requests are drawn from the mix once. A node's waste is the device capacity that
   is left when each sequence is packed into it, best fit on its devices, on average. That sees CPU and memory running out
   before the devices do, and which shares fill a device together.
2. *Value of partly used devices* (`device_values.py`): other nodes compete for the few small requests that would fill a gap,
   which a rollout over one node does not see.
3. *Scarcity.* Requests that few nodes can take (several whole devices, certain models) need room kept for them. For each
   such kind, D is its demand until the cluster is full (more where requests leave: `scarcity.py`) and S what the nodes could
   take of it now; taking away one unit of S costs (D / S) ** 3, at most 1: next to nothing while there is plenty, all of it
   when the last room goes.

The mix is learned from history and replaced by what arrives where the two differ beyond chance (`drift.py`).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from bedplate.compute.scheduler.placement.arrays import Bools, Classes, Floats, Ints, States
from bedplate.compute.scheduler.placement.base import Choice, PlacementPolicy, Ties
from bedplate.compute.scheduler.placement.candidates import rows_of
from bedplate.compute.scheduler.placement.cluster import Cluster
from bedplate.compute.scheduler.placement.cost_table import CostTable
from bedplate.compute.scheduler.placement.device_values import device_values
from bedplate.compute.scheduler.placement.drift import MixWatch
from bedplate.compute.scheduler.placement.mix import Mix
from bedplate.compute.scheduler.placement.request import WHOLE
from bedplate.compute.scheduler.placement.scarcity import Scarcity
from bedplate.compute.scheduler.placement.state_cache import StateCache

NUM_SEQUENCES = 16
OFFERED = 4
"""A sequence offers a node this many times its free device capacity."""
_MAX_LENGTH = 256
_VALUE_WEIGHT = 4.0
"""Waste on a device that is certain (no request of that size will come) outweighs waste that is expected on a node."""


def make_policy(cluster: Cluster, mix: Mix, seed: int = 0) -> PlacementPolicy:
    """See the file's header."""
    return RolloutPolicy(cluster, mix, seed)


class RolloutPolicy:
    """Keeps the table of costs, what was learned, and how scarce each kind of room is."""

    def __init__(self, cluster: Cluster, mix: Mix, seed: int) -> None:
        self._cluster = cluster
        self._seed = seed
        self._watch = MixWatch(mix)
        self._learn(mix)

    def observe(self, item: int) -> None:
        """See `PlacementPolicy`; learns where arrivals refute the mix, which takes a while."""
        if (mix := self._watch.observe(item)) is not None:
            self._learn(mix)

    def choose(self, item: int, allowed_N: Bools | None = None, bias_N: Floats | None = None) -> Choice | None:
        """See `PlacementPolicy`."""
        self._follow()
        return self._table.cheapest(item, allowed_N, bias_N, self._scarcity.prices())

    def _learn(self, mix: Mix) -> None:
        mix = mix.extended(len(self._cluster.classes))
        generator = np.random.default_rng(self._seed)
        self._value_R = _VALUE_WEIGHT * device_values(self._cluster, mix, generator)
        has_devices_C = self._cluster.requests.devices > 0
        frequency_C = np.where(has_devices_C, mix.frequency, 0.0)
        if frequency_C.sum() > 0:
            shape = (NUM_SEQUENCES, _MAX_LENGTH)
            self._sequences = generator.choice(len(frequency_C), size=shape, p=frequency_C / frequency_C.sum())
        else:
            self._sequences = np.zeros((0, 0), np.int64)
        self._cache = StateCache(self._compute, 1)
        self._scarcity = Scarcity(self._cluster, mix)
        self._table = CostTable(self._cluster, self._cost, Ties.FULLEST, self._scarcity.lost, self._scarcity.num_kinds)
        self._potential_N, self._version_N = np.zeros(0), np.zeros(0, np.int64)
        self._follow()

    def _cost(self, item: int, nodes_M: Ints, after: States) -> Floats:
        growth: Floats = self._potential(after) - self._potential_N[nodes_M]
        return growth

    def _follow(self) -> None:
        """Bring every node's potential up to date."""
        if (more := len(self._cluster.nodes) - len(self._version_N)) > 0:
            self._potential_N = np.append(self._potential_N, np.zeros(more))
            self._version_N = np.append(self._version_N, np.full(more, -1))
        changed = np.flatnonzero(self._version_N != self._cluster.version_N)
        if len(changed):
            self._potential_N[changed] = self._potential(rows_of(self._cluster.free, changed))
            self._version_N[changed] = self._cluster.version_N[changed]

    def _potential(self, states: States) -> Floats:
        potential: Floats = self._cache.values(states)[:, 0]
        return potential

    def _compute(self, states: States) -> Floats:
        waste_M = rollout_waste(states, self._cluster.requests, self._sequences, OFFERED)
        potential: Floats = waste_M - self._value_R[states.shares].sum(axis=1)
        return potential[:, None]


@njit(cache=True)  # type: ignore[untyped-decorator]
def rollout_waste(states: States, classes: Classes, sequences: Ints, offered: int) -> Floats:
    """Device capacity left after a sequence is packed, averaged over sequences; thousandths of a device, shape (M,).

    Args:
        states: What is filled; not changed.
        classes: Of the requests.
        sequences: Classes in the order in which they are offered, shape (sequences, length).
        offered: A sequence ends after this many times the state's free device capacity.

    Whole devices of a request may here be of several of the models that it accepts. O(M * sequences * length * G).
    """
    result = np.zeros(len(states.cpu))
    shares = np.empty(states.shares.shape[1], np.int64)
    for at in range(len(states.cpu)):
        free = states.shares[at].sum()
        if free == 0:
            continue
        for sequence in range(len(sequences)):
            shares[:] = states.shares[at]
            result[at] += _fill(
                states.cpu[at], states.memory[at], shares, states.model[at], classes, sequences[sequence], offered * free
            )
        result[at] /= max(len(sequences), 1)
    return result


@njit(cache=True)  # type: ignore[untyped-decorator]
def _fill(cpu: int, memory: int, shares: Ints, model: Ints, classes: Classes, sequence: Ints, most: int) -> int:
    """Free capacity of one node after `sequence`, changing `shares`."""
    left, offered, models = 0, 0, 0
    for device in range(len(shares)):
        left += shares[device]
        models |= 1 << model[device]
    for at in range(len(sequence)):
        if left == 0 or offered > most:
            break
        item = sequence[at]
        share, count = classes.share[item], classes.devices[item]
        offered += share * count
        fits = classes.cpu[item] <= cpu and classes.memory[item] <= memory and classes.models[item] & models
        if share * count > left or not fits or not _pack(shares, model, share, count, classes.models[item]):
            continue
        cpu -= classes.cpu[item]
        memory -= classes.memory[item]
        left -= share * count
    return left


@njit(cache=True)  # type: ignore[untyped-decorator]
def _pack(shares: Ints, model: Ints, share: int, count: int, models: int) -> bool:
    """Take `count` whole devices, or a share of the device where the least is left; False if there is no room."""
    if share == WHOLE:
        num_free = 0
        for device in range(len(shares)):
            num_free += shares[device] == WHOLE and (models >> model[device]) & 1
        if num_free < count:
            return False
        for device in range(len(shares)):
            if count > 0 and shares[device] == WHOLE and (models >> model[device]) & 1:
                shares[device] = 0
                count -= 1
        return True
    best = -1
    for device in range(len(shares)):
        is_better = shares[device] >= share and (best < 0 or shares[device] < shares[best])
        if is_better and (models >> model[device]) & 1:
            best = device
    if best >= 0:
        shares[best] -= share
    return best >= 0
