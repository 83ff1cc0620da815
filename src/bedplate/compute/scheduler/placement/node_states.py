"""The states of all nodes as arrays that grow: what is left, what of it may be taken, and each state's digest.

Left is what nothing holds; free is what may be taken now: nothing of a node or device that is not usable. A version is a
digest of the free state, so equal states have equal versions: a cost that was computed for a state holds wherever and
whenever it occurs, also after a trial was rolled back, and when the decisions of a trial are carried out. (Two states of
10 billion have the same 64 bits with a chance of one in a billion.)

A trial costs what is done in it: the rows that it changes are kept and put back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from bedplate.compute.scheduler.placement.arrays import Bools, Ints, States, grown, zero_states
from bedplate.compute.scheduler.placement.request import WHOLE


class _Kept(NamedTuple):
    """Everything of a node that can change in a trial, as it was."""

    node: int
    cpu: int
    memory: int
    shares: Ints
    is_usable: bool
    device_usable: Bools


class NodeStates:
    """Rows by node index; has one owner, its cluster."""

    def __init__(self, rows: int, width: int) -> None:
        self.size = 0
        self._undo: list[_Kept] | None = None
        self._left, self._free = zero_states(rows, width), zero_states(rows, width)
        self._usable_N, self._device_usable_NG = np.zeros(rows, bool), np.zeros((rows, width), bool)
        self._version_N = np.zeros(rows, np.int64)
        self._expose()

    @property
    def is_trial(self) -> bool:
        """Whether changes are being kept, to be undone."""
        return self._undo is not None

    def add_row(self) -> int:
        """Index of a new row."""
        self.size += 1
        self._expose()
        return self.size - 1

    def start(self, at: int, cpu: int, memory: int, models: Ints) -> None:
        """Row `at` is a node on which nothing is held, everything usable; `models` are the indices of its devices'."""
        if len(models) > self.free.shares.shape[1]:
            self._expose(len(models))
        for states in (self._left, self._free):
            states.devices[at] = len(models)
            states.model[at] = models[0] if len(models) else 0
            states.model[at, : len(models)] = models
        self.left.cpu[at], self.left.memory[at] = cpu, memory
        self.left.shares[at] = np.where(np.arange(self.left.shares.shape[1]) < len(models), WHOLE, 0)
        self.usable_N[at] = self.device_usable_NG[at] = True
        self._settle(at)

    def move(self, at: int, cpu: int, memory: int, devices: Sequence[int], milli: int) -> None:
        """Add that much to what is left of row `at`, and of each of `devices`."""
        self._keep(at)
        self.left.cpu[at] += cpu
        self.left.memory[at] += memory
        for device in devices:
            self.left.shares[at, device] += milli
        self._settle(at)

    def set_usable(self, at: int, is_usable: bool, device: int | None = None) -> None:
        """Whether anything of row `at`, or of one of its devices, is free."""
        self._keep(at)
        if device is None:
            self.usable_N[at] = is_usable
        else:
            self.device_usable_NG[at, device] = is_usable
        self._settle(at)

    @contextmanager
    def trial(self) -> Iterator[None]:
        """Changes are undone at the end; may be nested."""
        outer, self._undo = self._undo, []
        try:
            yield
        finally:
            kept, self._undo = self._undo, outer
            for row in reversed(kept):
                self.left.cpu[row.node], self.left.memory[row.node] = row.cpu, row.memory
                self.left.shares[row.node] = row.shares
                self.usable_N[row.node], self.device_usable_NG[row.node] = row.is_usable, row.device_usable
                self._settle(row.node)

    def _keep(self, at: int) -> None:
        if self._undo is not None:
            row = _Kept(
                node=at,
                cpu=int(self.left.cpu[at]),
                memory=int(self.left.memory[at]),
                shares=self.left.shares[at].copy(),
                is_usable=bool(self.usable_N[at]),
                device_usable=self.device_usable_NG[at].copy(),
            )
            self._undo.append(row)

    def _settle(self, at: int) -> None:
        _settle(self.left, self.free, self.usable_N, self.device_usable_NG, self.version_N, at)

    def _expose(self, width: int = 0) -> None:
        """Grow where needed; the public arrays are the rows in use."""
        width = max(width, self._left.shares.shape[1])
        rows, table = (self.size,), (self.size, width)
        self._left, self._free = (
            States(*(grown(field, rows if field.ndim == 1 else table) for field in states))
            for states in (self._left, self._free)
        )
        self._usable_N, self._version_N = grown(self._usable_N, rows), grown(self._version_N, rows)
        self._device_usable_NG = grown(self._device_usable_NG, table, True)
        self.left = States(*(field[: self.size] for field in self._left))
        """What nothing holds, usable or not."""
        self.free = States(*(field[: self.size] for field in self._free))
        """What may be taken."""
        self.usable_N = self._usable_N[: self.size]
        self.device_usable_NG = self._device_usable_NG[: self.size]
        self.version_N = self._version_N[: self.size]


@njit(cache=True)  # type: ignore[untyped-decorator]
def _settle(left: States, free: States, usable_N: Bools, device_usable_NG: Bools, version_N: Ints, at: int) -> None:
    """Derive what is free on node `at`, and its version."""
    free.cpu[at] = left.cpu[at] if usable_N[at] else 0
    free.memory[at] = left.memory[at] if usable_N[at] else 0
    digest = mixed(mixed(np.uint64(left.devices[at]), free.cpu[at]), free.memory[at])
    for device in range(left.devices[at]):
        free.shares[at, device] = left.shares[at, device] if usable_N[at] and device_usable_NG[at, device] else 0
        digest = mixed(digest, free.shares[at, device] << 8 | free.model[at, device])
    version_N[at] = np.int64(digest >> np.uint64(1))  # not negative: -1 is the version of what was never computed


@njit(cache=True)  # type: ignore[untyped-decorator]
def mixed(digest: Any, value: int) -> Any:
    """One step of a hash: the finaliser of splitmix64 over the sum."""
    mixed = digest * np.uint64(0x9E3779B97F4A7C15) + np.uint64(value) + np.uint64(0x632BE59BD9B4E019)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
