"""The order of steps: each after all that it needs, otherwise as the file has them. O(steps^2), for tens of steps."""

from __future__ import annotations

from collections.abc import Mapping


def ordered(needs: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """Names of `needs` so that each comes after those it needs; of those that could come next, the first in the file.

    Raises:
        CycleFoundError: Some steps wait for each other.
    """
    order: list[str] = []
    waiting = list(needs)
    while waiting:
        ready = next((name for name in waiting if needs[name] <= set(order)), None)
        if ready is None:
            raise CycleFoundError(_cycle(needs, waiting))
        waiting.remove(ready)
        order.append(ready)
    return tuple(order)


class CycleFoundError(ValueError):
    """Steps that wait for each other; `cycle` begins and ends with the same name."""

    def __init__(self, cycle: tuple[str, ...]) -> None:
        super().__init__(" -> ".join(cycle))
        self.cycle = cycle


def _cycle(needs: Mapping[str, frozenset[str]], waiting: list[str]) -> tuple[str, ...]:
    seen: list[str] = []
    name = waiting[0]
    while name not in seen:
        seen.append(name)
        name = next(other for other in waiting if other in needs[name])
    return (*seen[seen.index(name) :], name)
