"""What a placement policy is.

A policy gives every candidate (a node and, for a share, a device) a cost; the cheapest is taken. What is not the policy's to
know comes with the question: where a request may go at all (topology, reservations, tenants), and what speaks for or against a
node (speed, health, spreading), in the unit of costs.

Ties are broken by a rule that does not lean on the order of the nodes: the one with the least free device capacity, of those
the one with the least free CPU, of those the first by the digest of its name; or by the digest alone (`Ties.DIGEST`).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Protocol

from bedplate.compute.scheduler.placement.arrays import Bools, Floats, Ints, States


class Ties(enum.Enum):
    """Which of several equally cheap nodes is taken."""

    FULLEST = "fullest"
    """Least free device capacity, then least free CPU, then the digest of the name."""
    DIGEST = "digest"
    """The digest of the name: an order without a meaning, the same for every request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Where a request goes."""

    node: int
    device: int
    """As `Cluster.place` takes it."""
    cost: float = field(default=0.0, compare=False)
    """With the bias; comparable between classes of one policy, as between models that a request may have."""


class PlacementPolicy(Protocol):
    """Chooses a node for one request after the other. Has one owner; sees the cluster as it is when asked."""

    def observe(self, item: int) -> None:
        """Count that a request of class `item` arrived; once for each, however often it is tried."""
        ...

    def choose(self, item: int, allowed_N: Bools | None = None, bias_N: Floats | None = None) -> Choice | None:
        """Where a request of class `item` goes.

        Args:
            item: Index of the class.
            allowed_N: Nodes where it may go; all that are usable if None.
            bias_N: Added to the cost of each node: thousandths of a device for `fgd` (whole scores) and `rollout`.

        Returns:
            The cheapest candidate; None if it fits nowhere.
        """
        ...


class Cost(Protocol):
    """What a policy of the table is: the cost of the states that candidates leave."""

    def __call__(self, item: int, nodes_M: Ints, after: States) -> Floats:
        """Cost of each candidate, shape (M,); the lowest wins.

        It depends on states only, not on which node has one: nodes of one state have one cost.

        Args:
            item: Class of the request.
            nodes_M: Node of each candidate; the cluster has its state before.
            after: The states afterwards, shape (M,).
        """
        ...
