"""One pair of slots, from the inside: an all-reduce between two processes, with its right result known.

Each pair gets a process group of its own, through a store that its first member opens, and leaves nothing behind: the
next pair starts from scratch, also after a failure. The numbers are small integers, so the sum is exact.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from bedplate.core.backends import Backend

NUM_REPEATS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class PairResult:
    """What one member saw."""

    seconds: float
    """Median time of one all-reduce."""
    is_right: bool


class PairMember:
    """A task's side of its pairs, one after another."""

    def __init__(self, beat: Callable[[], None], backend: Backend, device: Any = None) -> None:
        """Heartbeats go to `beat`; the sums over the collectives of `backend`, of tensors on the torch device `device`."""
        self._beat, self._backend, self._device = beat, backend, device
        self._store: Any = None

    def open_store(self, timeout_s: float) -> int:
        """As first member: open the store that both will meet at; returns its port."""
        from torch.distributed import TCPStore  # type: ignore[attr-defined]

        self._store = TCPStore("localhost", 0, 2, True, timedelta(seconds=timeout_s), wait_for_workers=False)
        return int(self._store.port)

    def meet(self, *, place: int, host: str, port: int, num_bytes: int, timeout_s: float) -> PairResult:
        """Sum `num_bytes` of float32 with the partner, several times.

        Args:
            place: 0 for the member that opened the store, 1 for the other.
            host: Where the store is.
            port: Its port.
            num_bytes: Size of the buffer.
            timeout_s: For the rendezvous and for each sum.

        Raises:
            RuntimeError: The partner does not connect, dies or hangs.
        """
        import torch.distributed
        from torch.distributed import TCPStore  # type: ignore[attr-defined]

        if host.startswith("127."):  # else gloo asks the resolver for this machine's name
            os.environ["GLOO_SOCKET_IFNAME"] = "lo"
            if self._backend.torch_device == "cpu":
                os.environ[self._backend.interface_variable] = "lo"
        timeout = timedelta(seconds=timeout_s)
        store = self._store if place == 0 else TCPStore(host, port, 2, False, timeout, wait_for_workers=False)
        self._store = None
        self._beat()
        try:
            torch.distributed.init_process_group(
                self._backend.process_group, store=store, rank=place, world_size=2, timeout=timeout
            )
            return self._sum_repeatedly(place, num_bytes // 4)
        finally:
            if torch.distributed.is_initialized():
                torch.distributed.destroy_process_group()

    def _sum_repeatedly(self, place: int, num_values: int) -> PairResult:
        import torch.distributed

        base = torch.arange(num_values, dtype=torch.float32, device=self._device) % 251
        expected = 2 * base + 1
        seconds, is_right = [], True
        for repeat in range(NUM_REPEATS + 1):
            values = base + place
            self._beat()
            began_s = time.perf_counter()
            torch.distributed.all_reduce(values)
            float(values[-1])  # waits for the device
            if repeat:  # the first one also connects
                seconds.append(time.perf_counter() - began_s)
            is_right = is_right and torch.equal(values, expected)
        return PairResult(seconds=statistics.median(seconds), is_right=is_right)
