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

from bedplate.core.json import JsonObject
from bedplate.core.task import TaskContext
from bedplate.core.workload import Gang, Placement
from bedplate.engines.base import GangHandle
from bedplate.engines.local.engine import LocalEngine

RUN_S, STOP_S = 0.002, 0.030


class MeddledEngine:
    """A local engine that somebody meddles with: remembers its gangs, and swaps entries of the ranks named."""

    def __init__(self, engine: LocalEngine, entries: Mapping[int, str] | None = None) -> None:
        self._engine = engine
        self._entries = entries or {}
        self.handles: list[GangHandle] = []
        self.excluded: list[tuple[str, tuple[int, ...], str]] = []

    def submit(self, gang: Gang, placement: Placement | None = None) -> GangHandle:
        tasks = (replace(task, entry=self._entries.get(rank, task.entry)) for rank, task in enumerate(gang.tasks))
        self.handles.append(self._engine.submit(replace(gang, tasks=tuple(tasks)), placement))
        return self.handles[-1]

    def exclude(self, node_id: str, cores: tuple[int, ...], reason: str) -> None:
        self._engine.exclude(node_id, cores, reason)
        self.excluded.append((node_id, cores, reason))

    def pid(self, rank: int) -> int:
        pid = self._engine.status(self.handles[-1]).tasks[rank].pid
        assert pid is not None
        return pid

    def kill(self, rank: int, number: signal.Signals = signal.SIGKILL) -> None:
        self._engine.kill(self.handles[-1], rank, number)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


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
    torch.distributed.all_reduce = damaged
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
