"""How much memory a run takes: the sum of the proportional set sizes of its process and all that come from it.

PSS counts a page shared by n processes as 1/n in each, so weights and checkpoints in shared memory count once; adding up
resident sizes would count them in every process. Source: proc(5), /proc/PID/smaps_rollup.
"""

from __future__ import annotations

from pathlib import Path

import psutil


class PeakMemory:
    """The largest sum seen by `sample`; a peak between two samples is missed."""

    def __init__(self, peak_bytes: int = 0) -> None:
        self.peak_bytes = peak_bytes
        self._process = psutil.Process()

    def sample(self) -> None:
        """Look once; about 1 ms per process, more if it maps a lot."""
        processes = [self._process, *self._process.children(recursive=True)]
        self.peak_bytes = max(self.peak_bytes, sum(_pss_bytes(process) for process in processes))


def _pss_bytes(process: psutil.Process) -> int:
    try:
        with Path(f"/proc/{process.pid}/smaps_rollup").open() as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    except (OSError, StopIteration):  # it has ended, or this system has no such file
        return _resident_bytes(process)


def _resident_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
