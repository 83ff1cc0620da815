"""`not-reserved`: nodes that are not kept for others: a gang that waits for its room, a tenant's own pool."""

from __future__ import annotations

import numpy as np

from bedplate.compute.scheduler.placement.arrays import Bools
from bedplate.compute.scheduler.placement.wishes.facts import Facts


def allowed(facts: Facts) -> Bools:
    """See the file's header."""
    return np.ones(facts.num_nodes, bool) if facts.reserved_N is None else ~facts.reserved_N
