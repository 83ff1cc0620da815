"""Placement policies: one file each, named here as people write them; loaded when used.

To add one: a file with `make_policy(cluster, mix, seed)`, most often a cost of the states that candidates leave, and a line
in `POLICIES`; or give `open_policy` the path of a module of your own, `package.module`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from bedplate.core.errors import UsageError, check_known

if TYPE_CHECKING:
    from bedplate.compute.scheduler.placement.base import PlacementPolicy
    from bedplate.compute.scheduler.placement.cluster import Cluster
    from bedplate.compute.scheduler.placement.mix import Mix

POLICIES: dict[str, str] = {
    "random": "bedplate.compute.scheduler.placement.random_fit",
    "best-fit": "bedplate.compute.scheduler.placement.best_fit",
    "gpu-packing": "bedplate.compute.scheduler.placement.packing",
    "fgd": "bedplate.compute.scheduler.placement.fgd",
    "rollout": "bedplate.compute.scheduler.placement.rollout",
    "tight": "bedplate.compute.scheduler.placement.tight",
}
"""Name -> module, which has `make_policy`."""
DEFAULT_POLICY = "rollout"


def check_policy(name: str) -> None:
    """Raise UsageError, with the nearest name, unless `name` is a policy or the dotted path of a module."""
    if "." not in name:
        check_known(name, POLICIES, "unknown placement policy")


def open_policy(name: str, cluster: Cluster, mix: Mix, seed: int = 0) -> PlacementPolicy:
    """The policy of that name over a cluster.

    Args:
        name: One of `POLICIES`, or the dotted path of a module with `make_policy`.
        cluster: What it places on; it sees every change.
        mix: What it knows of the requests that will arrive; may know fewer classes than the cluster.
        seed: Of what it draws.

    Raises:
        UsageError: Unknown, or no such module.
    """
    check_policy(name)
    try:
        make_policy = importlib.import_module(POLICIES.get(name, name)).make_policy
    except (ModuleNotFoundError, AttributeError) as error:
        raise UsageError(
            "the placement policy cannot be loaded",
            seen=f"{name}: {error}",
            expected="a module with make_policy(cluster, mix, seed)",
            next_step="pip install 'bedplate[compute]'" if name in POLICIES else None,
        ) from error
    policy: PlacementPolicy = make_policy(cluster, mix.extended(len(cluster.classes)), seed)
    return policy
