"""What runs where, as arrays: one row a worker, one slot a job.

Questions like "what would be free if these jobs ended?" and "when will enough be free?" are asked about thousands of workers
at once; in arrays they take a millisecond.

Shape suffixes: R rows (workers, some of them vacant), S slots (jobs, some of them vacant), N nodes, G devices of a node.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit

from bedplate.compute.scheduler.placement.arrays import Bools, Floats, Ints, States, grown
from bedplate.compute.scheduler.placement.cluster import Taken

_VACANT = -1
_COLUMNS = 7
_NODE, _CPU, _MEMORY, _DEVICES, _MILLI, _SLOT, _EXTRA = range(_COLUMNS)


class Holdings:
    """Workers that run. Has one owner, the state."""

    def __init__(self) -> None:
        self._table = np.full((0, _COLUMNS), _VACANT, np.int64)
        self._vacant_rows: list[int] = []
        self._rows: list[list[int]] = []
        self._vacant_slots: list[int] = []
        self._started_S, self._duration_S, self._ends_by_S, self._ready_S = (np.zeros(0) for _ in range(4))
        self._bucket_S, self._preemptible_S, self._has_extra_S = np.zeros(0, np.int64), np.zeros(0, bool), np.zeros(0, bool)

    @property
    def num_slots(self) -> int:
        """Slots that were ever used."""
        return len(self._rows)

    def add(self, taken: Sequence[Taken], started_s: float) -> int:
        """The slot of a job that starts with these workers."""
        if self._vacant_slots:
            slot = self._vacant_slots.pop()
        else:
            slot = len(self._rows)
            self._rows.append([])
            size = (slot + 1,)
            self._started_S, self._duration_S = grown(self._started_S, size), grown(self._duration_S, size)
            self._ends_by_S, self._ready_S = grown(self._ends_by_S, size), grown(self._ready_S, size)
            self._bucket_S, self._preemptible_S = grown(self._bucket_S, size), grown(self._preemptible_S, size, False)
            self._has_extra_S = grown(self._has_extra_S, size, False)
        self._started_S[slot], self._duration_S[slot], self._ends_by_S[slot] = started_s, np.nan, np.nan
        for item in taken:
            self.add_worker(slot, item)
        return slot

    def describe(self, slot: int, bucket: int, *, is_preemptible: bool, ready_s: float, fewest: int) -> None:
        """How a job may make room: which bucket it is in, from when on for higher priority, and which workers are extra."""
        self._bucket_S[slot], self._preemptible_S[slot], self._ready_S[slot] = bucket, is_preemptible, ready_s
        rows = self._rows[slot]
        self._has_extra_S[slot] = len(rows) > fewest
        self._table[rows, _EXTRA] = np.arange(len(rows)) >= fewest

    def claimed(self, claim_B: Ints, now: float) -> Bools:
        """Workers that could make room, shape (R,).

        Args:
            claim_B: Strength of the claim on each bucket: 0 none, 1 on extra workers, 2 by priority, 3 by guarantee.
            now: In seconds.
        """
        slot_R = self._table[:, _SLOT]
        if not self.num_slots:
            return np.zeros(len(slot_R), bool)
        size = self.num_slots
        claim_S = np.where(np.isnan(self._ends_by_S[:size]), claim_B[self._bucket_S[:size]], 0)
        is_ready_S = (claim_S == 3) | ((claim_S == 2) & (self._ready_S[:size] <= now))
        whole_S = self._preemptible_S[:size] & is_ready_S
        extra_S = self._has_extra_S[:size] & (claim_S > 0)
        if not whole_S.any() and not extra_S.any():
            return np.zeros(len(slot_R), bool)
        at_R = np.maximum(slot_R, 0)
        claimed: Bools = (slot_R >= 0) & (whole_S[at_R] | ((claim_S[at_R] > 0) & (self._table[:, _EXTRA] > 0)))
        return claimed

    def slots_of_rows(self, rows_R: Bools) -> list[int]:
        """Slots that have any of these rows, ascending."""
        slots: list[int] = np.unique(self._table[rows_R, _SLOT]).tolist()
        return slots

    def expect(self, slot: int, started_s: float, duration_s: float | None) -> None:
        """A job is expected to end so long after that time; None where nobody knows."""
        self._started_S[slot] = started_s
        self._duration_S[slot] = np.nan if duration_s is None else duration_s

    def ends_by(self, slot: int, at_s: float | None) -> None:
        """A job will have ended by then, whatever was expected; None takes that back."""
        self._ends_by_S[slot] = np.nan if at_s is None else at_s

    def end_s(self, slot: int) -> float | None:
        """When a job is expected to end; None where nobody knows."""
        ends_s = float(self._started_S[slot] + self._duration_S[slot])
        return None if np.isnan(ends_s) else ends_s

    def add_worker(self, slot: int, item: Taken) -> None:
        """One more worker of a job, the last one."""
        if not self._vacant_rows:
            size = len(self._table)
            self._table = grown(self._table, (size + 1, _COLUMNS), _VACANT)
            self._vacant_rows = list(range(len(self._table) - 1, size - 1, -1))
        row = self._vacant_rows.pop()
        mask = sum(1 << device for device in item.devices)
        self._table[row] = (item.node, item.cpu_milli, item.memory_mib, mask, item.milli, slot, 0)
        self._rows[slot].append(row)

    def remove_worker(self, slot: int, position: int) -> None:
        """A worker of a job is gone."""
        row = self._rows[slot].pop(position)
        self._table[row] = _VACANT
        self._vacant_rows.append(row)

    def remove(self, slot: int) -> None:
        """A job is gone."""
        while self._rows[slot]:
            self.remove_worker(slot, -1)
        self._vacant_slots.append(slot)

    def rows_of(self, slot: int) -> list[int]:
        """Rows of a job's workers, in their order."""
        return self._rows[slot]

    def ends(self, now: float, assumed_s: float) -> Floats:
        """When each job is expected to end, not before now, shape (S,); meaningless where a slot is vacant.

        One that runs longer than expected may end any moment. One of unknown duration goes on as long again as it has run,
        at least `assumed_s`.
        """
        size = self.num_slots
        started_S, duration_S, ends_by_S = self._started_S[:size], self._duration_S[:size], self._ends_by_S[:size]
        ends_S = np.where(np.isnan(duration_S), now + np.maximum(now - started_S, assumed_s), started_S + duration_S)
        ends_S = np.where(np.isnan(ends_by_S), ends_S, np.minimum(ends_S, ends_by_S))
        return np.maximum(ends_S, now)

    def ends_of_rows(self, ends_S: Floats) -> Floats:
        """The same for each worker, shape (R,); infinity where a row is vacant."""
        slot_R = self._table[:, _SLOT]
        if not len(ends_S):
            return np.full(len(slot_R), np.inf)
        return np.where(slot_R >= 0, ends_S[np.maximum(slot_R, 0)], np.inf)

    def nodes_of_rows(self, rows: Ints) -> Ints:
        """Node of each of these workers."""
        nodes: Ints = self._table[rows, _NODE]
        return nodes

    def mask(self, rows: Sequence[int]) -> Bools:
        """These rows, shape (R,)."""
        mask_R = np.zeros(len(self._table), bool)
        mask_R[list(rows)] = True
        return mask_R

    def free_without(self, free: States, usable_NG: Bools, gone_R: Bools) -> States:
        """What would be free if these workers were gone; O(N * G + R)."""
        after = States(free.cpu.copy(), free.memory.copy(), free.shares.copy(), free.devices, free.model)
        _give_back(after, usable_NG, self._table, gone_R)
        return after


@njit(cache=True)  # type: ignore[untyped-decorator]
def _give_back(after: States, usable_NG: Bools, table: Ints, gone_R: Bools) -> None:
    for row in range(len(table)):
        if not gone_R[row] or table[row, 5] < 0:
            continue
        node = table[row, 0]
        if not usable_NG[node, usable_NG.shape[1] - 1]:
            continue
        after.cpu[node] += table[row, 1]
        after.memory[node] += table[row, 2]
        devices, milli = table[row, 3], table[row, 4]
        for device in range(after.devices[node]):
            if (devices >> device) & 1 and usable_NG[node, device]:
                after.shares[node, device] += milli
