"""The one recursion over what a step says: every value with the path of keys that leads to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from bedplate.core.json import Json
from bedplate.core.settings import KeyPath


def walk(value: Json, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Json]]:
    """The leaves of `value` (what is no mapping and no list), in order."""
    leaves: list[tuple[KeyPath, Json]] = []
    changed(value, lambda place, leaf: leaves.append((place, leaf)), path)
    return iter(leaves)


def changed(value: Json, change: Callable[[KeyPath, Json], Json], path: KeyPath = ()) -> Json:
    """`value` with every leaf replaced by what `change` makes of it."""
    if isinstance(value, Mapping):
        return {key: changed(item, change, (*path, key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [changed(item, change, (*path, index)) for index, item in enumerate(value)]
    return change(path, value)
