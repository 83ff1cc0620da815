"""Faults of real processes, ordered from outside: throttled, killed, stopped; and tasks whose arithmetic is damaged."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any
from unittest import mock

from bedplate.core.json import JsonObject
from bedplate.core.task import TaskContext
from bedplate.core.workload import Gang, Placement
from bedplate.engines.base import GangHandle
from bedplate.operations.preflight.measure import RateReport

RUN_S, STOP_S = 0.002, 0.030


class MeddledEngine:
    """A local engine whose gangs are tampered with: it swaps the entries of the slots named, and kills from outside."""

    def __init__(self, engine: Any, entries: Mapping[int, str] | None = None) -> None:
        self._engine = engine
        self._entries = entries or {}
        self.handles: list[GangHandle] = []
        self.excluded: list[tuple[str, tuple[int, ...], str]] = []
        self._holders: dict[int, tuple[GangHandle, int]] = {}
        """Slot -> the task that holds it, of the newest gang that has it."""

    def submit(self, gang: Gang, placement: Placement | None = None) -> GangHandle:
        slots = _slots(gang)
        tasks = (replace(task, entry=self._entries.get(slot, task.entry)) for slot, task in zip(slots, gang.tasks, strict=True))
        handle = self._engine.submit(replace(gang, tasks=tuple(tasks)), placement)
        self.handles.append(handle)
        self._holders |= {slot: (handle, rank) for rank, slot in enumerate(slots)}
        return handle

    def exclude(self, node_id: str, cores: tuple[int, ...], reason: str) -> None:
        self._engine.exclude(node_id, cores, reason)
        self.excluded.append((node_id, cores, reason))

    def pid(self, slot: int) -> int:
        handle, rank = self._holders[slot]
        pid = self._engine.status(handle).tasks[rank].pid
        assert pid is not None
        return pid

    def kill(self, slot: int, number: signal.Signals = signal.SIGKILL) -> None:
        handle, rank = self._holders[slot]
        self._engine.kill(handle, rank, number)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


def _slots(gang: Gang) -> list[int]:
    """The slot of each rank; the rank itself in a gang that does not screen."""
    slots = gang.tasks[0].spec.get("slots")
    return [int(slot) for slot in slots] if isinstance(slots, list) else list(range(len(gang.tasks)))


@dataclass
class Throttle:
    """Stops a process for fifteen sixteenths of the time, as a quota would."""

    pid: int
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Throttle:
        self._thread = threading.Thread(target=self._turn, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _turn(self) -> None:
        with suppress(ProcessLookupError):
            while not self._over.is_set():
                os.kill(self.pid, signal.SIGSTOP)
                time.sleep(STOP_S)
                os.kill(self.pid, signal.SIGCONT)
                time.sleep(RUN_S)


def sums_wrongly(context: TaskContext) -> JsonObject:
    """The screening task on a slot that damages one value of every sum that it receives."""
    import torch
    import torch.distributed

    from bedplate.workers.screen import main

    def damaged(values: torch.Tensor, **options: Any) -> None:
        original(values, **options)
        values[-1] += 1

    original: Callable[..., Any] = torch.distributed.all_reduce
    with mock.patch.object(torch.distributed, "all_reduce", damaged):
        return main(context)


def multiplies_wrongly(context: TaskContext) -> JsonObject:
    """The screening task on a slot whose products have one wrong element."""
    import torch

    from bedplate.workers.screen import main

    def damaged(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        product = torch.matmul(left, right)
        product[3, 5] += 1
        return product

    torch.Tensor.__matmul__ = damaged  # type: ignore[method-assign, assignment]
    return main(context)


def dies_when_measured(context: TaskContext) -> JsonObject:
    """The screening task on a slot that ends every process that works on it."""
    from bedplate.workers import screen

    def die(*_: object, **__: object) -> RateReport:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    with mock.patch.object(screen, "measure_rates", die):
        return screen.main(context)


def slow_because_of_other_work(context: TaskContext) -> JsonObject:
    """The screening task on a slot of which other work takes nearly everything."""
    from bedplate.workers import screen

    def measure(*_: object, **__: object) -> RateReport:
        return RateReport(
            matmul_flops={"fp32": 1.1e9}, memory_bandwidth_bytes_per_s=3e8, busy_frac={"fp32": 0.99, "copy": 0.99}
        )

    with mock.patch.object(screen, "measure_rates", measure):
        return screen.main(context)
