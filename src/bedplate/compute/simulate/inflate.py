"""The `inflate` protocol: which pods of a trace arrive, and in which order.

Pods are sorted by name and shuffled. Under `tune` times the capacity, pods drawn from the trace with replacement are added
until it is reached; over it, random pods are left out. They arrive one by one and never leave; one that does not fit is
skipped.

Source: the experiments of the FGD artefact; its generator of random numbers is another one.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

from bedplate.compute.scheduler.placement.arrays import Ints
from bedplate.compute.scheduler.placement.request import RequestClass


def sorted_classes(pods: Sequence[tuple[str, RequestClass]]) -> tuple[list[RequestClass], Ints]:
    """The classes of a trace, and the class of each pod, by the pods' names."""
    classes = sorted({need for _, need in pods})
    index = {need: at for at, need in enumerate(classes)}
    return classes, np.array([index[need] for _, need in sorted(pods)], np.int64)


def inflated_arrivals(pod_classes: Ints, device_milli_C: Ints, capacity_milli: int, tune: float, seed: int) -> Ints:
    """Class of each arriving pod, in order.

    Args:
        pod_classes: Of the trace's pods, sorted by name.
        device_milli_C: Thousandths of devices that each class needs; not all 0.
        capacity_milli: Of the cluster.
        tune: Demand to reach, as a multiple of the capacity.
        seed: Of the order and of the pods that are drawn.
    """
    generator = random.Random(seed)  # noqa: S311 - a simulation
    pods: list[int] = pod_classes.tolist()
    arriving = pods[:]
    generator.shuffle(arriving)
    goal = tune * capacity_milli
    demand = int(device_milli_C[pod_classes].sum())
    is_over = demand > goal
    while demand < goal:
        arriving.append(generator.choice(pods))
        demand += int(device_milli_C[arriving[-1]])
    while is_over and demand > goal:
        demand -= int(device_milli_C[arriving.pop(generator.randrange(len(arriving)))])
    return np.array(arriving, np.int64)


def until_demand(arriving: Ints, device_milli_C: Ints, demand_milli: int) -> Ints:
    """The arrivals up to the one with which `demand_milli` has arrived; all of them if it never does."""
    arrived = np.cumsum(device_milli_C[arriving])
    return arriving[: int(np.searchsorted(arrived, demand_milli)) + 1]
