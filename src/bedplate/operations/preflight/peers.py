"""Slots of one kind judged by each other: which is slower than its peers, and by how much.

The reference is the upper median: with an odd number the median, with two slots the faster one, which shows what the
kind can do. A slot is suspect when it falls short of the reference by more than the stated share and by more than three
standard deviations as estimated from the median absolute deviation, so that a kind whose members spread widely anyway is
not thinned out. Below `HOPELESS_SHARE` of the limit the spread excuses nothing. An absolute floor catches what peers
cannot show: all slots equally slow.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

DEVIATIONS = 3.0
MAD_TO_DEVIATION = 1.4826
"""Median absolute deviation to standard deviation, for a normal distribution."""
HOPELESS_SHARE = 0.5
"""Of the limit that the stated share gives: a slot below it is suspect however widely its peers spread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerFinding:
    """A slot that falls behind its kind in one rate."""

    slot: int
    rate: float
    limit: float
    """The rate required to pass."""
    reference: float | None
    """What its peers do; None where the absolute floor decided."""


def slow_slots(rates: Mapping[int, float], slow_share: float, floor: float = 0.0) -> tuple[PeerFinding, ...]:
    """Slots of one kind whose rate falls behind.

    Args:
        rates: Slot -> rate, in any unit.
        slow_share: How far below the reference a slot may fall, as a share of it, 0 to 1.
        floor: Rate below which a slot is suspect regardless of its peers.

    Returns:
        One finding per suspect slot, in the order of `rates`.
    """
    if not rates:
        return ()
    reference = statistics.median_high(rates.values())
    limit = _limit(list(rates.values()), reference, slow_share)
    found = []
    for slot, rate in rates.items():
        if rate < floor:
            found.append(PeerFinding(slot=slot, rate=rate, limit=floor, reference=None))
        elif rate < limit:
            found.append(PeerFinding(slot=slot, rate=rate, limit=limit, reference=reference))
    return tuple(found)


def other_work_explains(finding: PeerFinding, busy_frac: float, num_cores: int) -> bool:
    """Whether a slow slot might have reached its limit without the other work on its cores.

    A single core loses the share that others take. Several cores also wait for each other at every step, which can cost ten
    times as much, so there any disturbance counts as an explanation.

    Args:
        finding: A rate below its limit.
        busy_frac: Share of the cores' time that other work took, 0 to 1.
        num_cores: Cores of the slot.
    """
    return num_cores > 1 or finding.rate >= finding.limit * (1 - busy_frac)


def _limit(rates: Sequence[float], reference: float, slow_share: float) -> float:
    deviation = MAD_TO_DEVIATION * statistics.median_low(abs(rate - reference) for rate in rates)
    by_share = reference * (1 - slow_share)
    return max(min(by_share, reference - DEVIATIONS * deviation), by_share * HOPELESS_SHARE)
