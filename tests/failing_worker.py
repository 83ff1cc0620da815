"""The training worker with one fault in it: tests start it through `FaultyEngine` in place of the real entry.

The fault strikes once a run (mark files count), at one rank, when the trainer says that it begins something.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bedplate.core.json import JsonObject
from bedplate.core.task import TaskContext
from bedplate.core.workload import Gang, Placement
from bedplate.engines.base import GangHandle
from bedplate.engines.local.engine import LocalEngine

VARIABLE = "BEDPLATE_TEST_FAULT"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What goes wrong, where and when."""

    what: str
    """`kill`, `hang`, `raise`, `stop` (slow first, then SIGSTOP), `tear` (killed in the middle of writing a checkpoint), or
    `nan` (a NaN in the rank's gradient of that step).
    """
    rank: int
    step: int
    phase: str = "backward"
    micro_batch: int = 0
    times: int = 1

    def encode(self, marks: Path) -> str:
        return "|".join(
            [self.what, str(self.rank), str(self.step), self.phase, str(self.micro_batch), str(self.times), str(marks)]
        )


class FaultyEngine(LocalEngine):
    """A local engine whose tasks have `fault` in them; `before_restart` is called with the gang of each later attempt."""

    fault: Fault | None = None
    before_restart: Callable[[Gang], None] | None = None
    num_submitted = 0

    def submit(self, gang: Gang, placement: Placement | None = None) -> GangHandle:
        self.num_submitted += 1
        if self.num_submitted > 1 and self.before_restart is not None:
            self.before_restart(gang)
        if self.fault is not None:
            environment = {VARIABLE: self.fault.encode(self._root)}
            tasks = [
                dataclasses.replace(task, entry="tests.failing_worker:main", environment={**task.environment, **environment})
                for task in gang.tasks
            ]
            gang = dataclasses.replace(gang, tasks=tuple(tasks))
        return super().submit(gang, placement)


def main(context: TaskContext) -> JsonObject:
    """The entry: put the fault into the real worker, then run it."""
    import bedplate.workers.train as worker

    what, rank, step, phase, micro_batch, times, marks = os.environ[VARIABLE].split("|")
    if what == "nan" and context.rank == int(rank):
        _spoil_gradient(int(step))
    elif context.rank == int(rank):
        strike = _Strike(what, int(times), Path(marks))
        name = {"exchange": "wait_begins"}.get(phase, f"{phase}_begins")
        real: Callable[..., None] = getattr(worker.Observer, name)

        def observed(self: worker.Observer, at_step: int, at_micro_batch: int = 0) -> None:
            real(*((self, at_step) if name == "wait_begins" else (self, at_step, at_micro_batch)))
            if at_step == int(step) and at_micro_batch >= int(micro_batch):
                strike(self._context.heartbeat)

        setattr(worker.Observer, name, observed)
    return worker.main(context)


def _spoil_gradient(at_step: int) -> None:
    """Put a NaN into this rank's gradient of one step, in every attempt."""
    from bedplate.toolchain.train.trainer import Trainer

    real = Trainer._accumulate

    def accumulate(self: Trainer, step: int) -> tuple[float, float]:
        summed = real(self, step)
        if step == at_step:
            self.flat.gradients[7] = float("nan")
        return summed

    Trainer._accumulate = accumulate  # type: ignore[method-assign]


class _Strike:
    def __init__(self, what: str, times: int, marks: Path) -> None:
        self.what, self.times, self.marks = what, times, marks

    def __call__(self, heartbeat: Callable[[], None]) -> None:
        struck = len(list(self.marks.glob("struck-*")))
        if struck >= self.times:
            return
        (self.marks / f"struck-{struck}").touch()
        if self.what == "hang":
            time.sleep(600)
        if self.what == "stop":
            for _ in range(15):  # alive for longer than its peer, which waits for it in silence by now
                time.sleep(0.1)
                heartbeat()
            os.kill(os.getpid(), signal.SIGSTOP)
        if self.what == "raise":
            raise ValueError("injected failure")
        if self.what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.what == "tear":
            self._die_in_the_next_checkpoint()

    def _die_in_the_next_checkpoint(self) -> None:
        real, left = os.pwrite, [3]

        def write(*arguments: Any) -> int:
            left[0] -= 1
            if not left[0]:
                real(arguments[0], bytes(arguments[1])[:100], arguments[2])
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments)

        os.pwrite = write
