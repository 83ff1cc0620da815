"""Packing: how much of the devices a policy can allocate when requests arrive and never leave."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bedplate.compute.scheduler.placement import open_policy
from bedplate.compute.scheduler.placement.candidates import find_candidates
from bedplate.compute.scheduler.placement.cluster import Cluster
from bedplate.compute.scheduler.placement.mix import mix_of
from bedplate.compute.scheduler.placement.request import WHOLE, Node, RequestClass
from bedplate.compute.simulate.bound import allocation_bound
from bedplate.compute.simulate.inflate import inflated_arrivals, sorted_classes, until_demand
from bedplate.core.errors import UsageError
from bedplate.core.json import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class PackingRun:
    """One policy over one order of arrivals."""

    policy: str
    seed: int
    allocation_frac: float
    """Of the devices' capacity, when as much demand has arrived."""
    bound_frac: float
    """What no policy exceeds on these arrivals; see `bound.py`."""
    num_arrived: int
    num_skipped: int
    """Requests that fitted nowhere."""
    seconds: float
    """Of all placements, and of learning the mix before them."""

    def as_json(self, num_devices: int) -> JsonObject:
        """The keys that others script against."""
        return {
            "policy": self.policy,
            "seed": self.seed,
            "allocation_pct_at_100": 100 * self.allocation_frac,
            "bound_pct": 100 * self.bound_frac,
            "unallocated_devices": (1 - self.allocation_frac) * num_devices,
            "arrived": self.num_arrived,
            "skipped": self.num_skipped,
            "seconds": self.seconds,
        }


class PackingTrace:
    """Nodes and pods, ready to be replayed."""

    def __init__(
        self,
        nodes: Sequence[Node],
        pods: Sequence[tuple[str, RequestClass]],
        tune: float,
        history: Sequence[tuple[str, RequestClass]] | None = None,
    ) -> None:
        """Prepare a trace.

        Args:
            nodes: Of the cluster.
            pods: Name and need of each; they arrive as the `inflate` protocol says.
            tune: Demand that arrives, as a multiple of the capacity; 1 or more.
            history: What policies learn the mix from; `pods` if None.

        Raises:
            UsageError: Nobody needs a device, or no node has one.
        """
        self.nodes = tuple(nodes)
        self._tune = tune
        learned = pods if history is None else history
        self.classes, _ = sorted_classes([*pods, *learned])
        index = {need: at for at, need in enumerate(self.classes)}
        self._pod_classes = np.array([index[need] for _, need in sorted(pods)], np.int64)
        self._mix = mix_of([index[need] for _, need in learned], len(self.classes))
        self._device_milli_C = np.array([need.device_milli for need in self.classes], np.int64)
        self.num_devices = sum(node.num_devices for node in nodes)
        if not self.num_devices or not self._device_milli_C[self._pod_classes].any():
            raise UsageError("nothing to pack", seen=f"{self.num_devices} devices", expected="devices, and pods that need some")

    def run(self, policy: str, seed: int, bound_frac: float | None = None) -> PackingRun:
        """Replay one order of arrivals; `bound_frac` saves computing it again for another policy."""
        arriving = self._arrivals(seed)
        begin = time.perf_counter()
        cluster = Cluster(self.nodes, self.classes)
        placement = open_policy(policy, cluster, self._mix, seed)
        num_skipped = 0
        for item in arriving.tolist():
            placement.observe(item)
            choice = placement.choose(item)
            if choice is None:
                num_skipped += 1
            else:
                cluster.place(choice.node, item, choice.device)
        seconds = time.perf_counter() - begin
        free = int(cluster.free.shares.sum())
        return PackingRun(
            policy=policy,
            seed=seed,
            allocation_frac=1 - free / (self.num_devices * WHOLE),
            bound_frac=self.bound_frac(seed) if bound_frac is None else bound_frac,
            num_arrived=len(arriving),
            num_skipped=num_skipped,
            seconds=seconds,
        )

    def never_fitting(self) -> dict[RequestClass, int]:
        """How many of the trace's pods, by class, fit on no node even if it is empty."""
        cluster, nodes = Cluster(self.nodes, self.classes), np.arange(len(self.nodes))
        counts = np.bincount(self._pod_classes, minlength=len(self.classes))
        return {
            need: int(counts[item])
            for item, need in enumerate(self.classes)
            if counts[item] and not len(find_candidates(cluster.free, cluster.requests, item, nodes)[0])
        }

    def bound_frac(self, seed: int) -> float:
        """The bound for one order of arrivals."""
        counts = np.bincount(self._arrivals(seed), minlength=len(self.classes))
        return allocation_bound(Cluster(self.nodes, self.classes), counts.astype(np.float64))

    def _arrivals(self, seed: int) -> np.ndarray:
        capacity = self.num_devices * WHOLE
        arriving = inflated_arrivals(self._pod_classes, self._device_milli_C, capacity, self._tune, seed)
        return until_demand(arriving, self._device_milli_C, capacity)
