"""Was the machine busy with something else? How much of some cores' time other work took while we measured on them.

The kernel counts how long each core was busy, and how long the hypervisor held it back (steal); what is left after taking
away our own CPU time was other work. Time slices are counted in ticks of 10 ms, so one tick per core is forgiven. Where the
counters do not move (some containers hide them), the pressure of the CPU's run queue (PSI, `some`) stands in; it does not
separate our own waiting from that of others, so it comes second. Source: proc(5), Documentation/accounting/psi.rst.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")
_IDLE_COLUMNS = (3, 4)
"""Of a `cpu` line: idle, iowait."""
_GUEST_COLUMNS = (8, 9)
"""Already part of user and nice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    at_s: float
    busy_s: float | None
    """Of the watched cores together, steal included; None where it cannot be read."""
    own_s: float
    pressure_s: float | None


class OtherWork:
    """Measures from its construction on.

    Args:
        cores: Cores that are measured on; empty for all cores of the machine.
        own_cpu_s: CPU seconds that the measurement itself used so far; the default counts this process and its threads.
        proc: Where the kernel shows its counters.
    """

    def __init__(
        self, cores: Collection[int] = (), own_cpu_s: Callable[[], float] = time.process_time, proc: Path = _PROC
    ) -> None:
        self._cores, self._own_cpu_s, self._proc = frozenset(cores), own_cpu_s, proc
        self._num_cores = len(self._cores) or os.cpu_count() or 1
        self._start = self._read()

    def busy_frac(self) -> float | None:
        """Share of the cores' time since construction that others took, 0 to 1; None where the kernel does not report it."""
        now, start = self._read(), self._start
        elapsed_s = now.at_s - start.at_s
        if elapsed_s <= 0:
            return None
        if now.busy_s is not None and start.busy_s is not None and now.busy_s > start.busy_s:
            others_s = (now.busy_s - start.busy_s) - (now.own_s - start.own_s) - self._num_cores * TICK_S
            return min(1.0, max(0.0, others_s / (elapsed_s * self._num_cores)))
        if now.pressure_s is not None and start.pressure_s is not None:
            return min(1.0, max(0.0, (now.pressure_s - start.pressure_s) / elapsed_s))
        return None

    def _read(self) -> _Reading:
        return _Reading(
            at_s=time.monotonic(),
            busy_s=_busy_s(self._proc, self._cores),
            own_s=self._own_cpu_s(),
            pressure_s=_pressure_s(self._proc),
        )


def tree_cpu_s(pid: int | None = None, proc: Path = _PROC) -> float:
    """CPU seconds of a process and all that descend from it, ended and reaped ones included; default: this process.

    One pass over /proc, about 20 µs a process.
    """
    parents: dict[int, int] = {}
    seconds: dict[int, float] = {}
    for entry in proc.iterdir():
        if entry.name.isdigit() and (fields := _stat_fields(entry)):
            parents[int(entry.name)] = int(fields[1])
            seconds[int(entry.name)] = sum(map(int, fields[11:15])) * TICK_S  # utime, stime, and those of reaped children
    inside = {pid or os.getpid()}
    while grown := {process for process, parent in parents.items() if parent in inside} - inside:
        inside |= grown
    return sum(seconds.get(process, 0.0) for process in inside)


def _stat_fields(process: Path) -> list[str]:
    """Fields of /proc/PID/stat from the state on (the name before it may hold blanks); empty once it has ended."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _busy_s(proc: Path, cores: Collection[int]) -> float | None:
    """Busy seconds since boot of `cores`, or of all."""
    names = {f"cpu{core}" for core in cores} or {"cpu"}
    try:
        lines = [line.split() for line in (proc / "stat").read_text().splitlines() if line.startswith("cpu")]
        found = [list(map(int, line[1:])) for line in lines if line[0] in names]
    except (OSError, ValueError):
        return None
    if len(found) < len(names):
        return None
    skipped = {*_IDLE_COLUMNS, *_GUEST_COLUMNS}
    return TICK_S * sum(ticks for line in found for column, ticks in enumerate(line) if column not in skipped)


def _pressure_s(proc: Path) -> float | None:
    """Seconds since boot in which at least one task waited for a CPU."""
    try:
        first = (proc / "pressure" / "cpu").read_text().split("\n")[0]
        return int(first.rpartition("total=")[2]) / 1e6
    except (OSError, ValueError):
        return None
