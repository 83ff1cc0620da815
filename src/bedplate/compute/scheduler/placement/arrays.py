"""Nodes and requests as arrays: what placement policies compute over.

Shape suffixes: N nodes, G devices of a node (0 where it has fewer), C classes, M candidate states.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np

Ints: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]
Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Bools: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]

MAX_MODELS = 62
"""Device models that a request can choose among: bits of an integer."""
ANY_MODEL = (1 << MAX_MODELS) - 1

Array = TypeVar("Array", bound="np.ndarray[Any, Any]")


class States(NamedTuple):
    """Nodes in some state; a tuple, so that compiled code can take it."""

    cpu: Ints
    """Free, in thousandths of a core, shape (M,)."""
    memory: Ints
    """Free, in MiB, shape (M,)."""
    shares: Ints
    """Free thousandths of each device, shape (M, G)."""
    devices: Ints
    """Number of devices, shape (M,)."""
    model: Ints
    """Index of each device's model, shape (M, G)."""


class Classes(NamedTuple):
    """Request classes; a tuple, so that compiled code can take it. Every array has the shape (C,)."""

    cpu: Ints
    memory: Ints
    devices: Ints
    share: Ints
    models: Ints
    """Bit i: model i is accepted."""


def zero_states(rows: int, width: int) -> States:
    """States of `rows` nodes without anything, for at most `width` devices each."""
    return States(
        cpu=np.zeros(rows, np.int64),
        memory=np.zeros(rows, np.int64),
        shares=np.zeros((rows, width), np.int64),
        devices=np.zeros(rows, np.int64),
        model=np.zeros((rows, width), np.int64),
    )


def grown(array: Array, shape: tuple[int, ...], fill: object = 0) -> Array:
    """`array` where it has at least that shape; else a copy with room for as much again, filled with `fill`."""
    if all(have >= want for have, want in zip(array.shape, shape, strict=True)):
        return array
    room = (max(2 * array.shape[0], shape[0], 16) if array.shape[0] < shape[0] else array.shape[0],)
    room += tuple(max(have, want) for have, want in zip(array.shape[1:], shape[1:], strict=True))
    longer = np.full(room, fill, array.dtype)
    longer[tuple(slice(have) for have in array.shape)] = array
    return longer  # type: ignore[return-value]
