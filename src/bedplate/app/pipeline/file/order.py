"""The order of steps: each after all that it needs, otherwise as the file has them."""

from __future__ import annotations

import graphlib
from collections.abc import Mapping, Set

from bedplate.core.errors import ConfigurationError
from bedplate.core.settings import Source


def ordered(needs: Mapping[str, Set[str]], source: Source | None = None) -> tuple[str, ...]:
    """Names of `needs` so that each comes after those it needs; of those that could come next, the first in the file.

    Raises:
        ConfigurationError: Some steps wait for each other; names them in the order in which they wait.
    """
    sorter = graphlib.TopologicalSorter(needs)
    try:
        sorter.prepare()
    except graphlib.CycleError as error:
        raise _cycle_error(_from_first(error.args[1], list(needs)), source or Source()) from None
    positions = {name: position for position, name in enumerate(needs)}
    order: list[str] = []
    ready: set[str] = set()
    while sorter.is_active():
        ready.update(sorter.get_ready())
        name = min(ready, key=positions.__getitem__)
        ready.remove(name)
        order.append(name)
        sorter.done(name)
    return tuple(order)


def _from_first(cycle: list[str], names: list[str]) -> list[str]:
    """The cycle as each needs the next (graphlib has it the other way round), from its first step in the file."""
    around = cycle[:0:-1]
    start = around.index(min(around, key=names.index))
    return [*around[start:], *around[:start], around[start]]


def _cycle_error(cycle: list[str], source: Source) -> ConfigurationError:
    return ConfigurationError(
        "steps depend on each other in a cycle",
        where=source.where(("steps", cycle[0])),
        seen=" -> ".join(cycle),
        expected="an order in which each step has its inputs",
        next_step=f"remove one of these references or 'after' entries: {', '.join(cycle[:-1])}",
    )
