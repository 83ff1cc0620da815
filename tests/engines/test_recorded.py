"""The half that all engines share, under the smallest engine there is: its tasks have ended as soon as they are followed."""

import itertools

import pytest

from bedplate.core.devices import Node
from bedplate.core.errors import UnavailableError, UsageError
from bedplate.core.workload import ExitCause, Gang, GangHandle, Placement, TaskEventKind, TaskState
from bedplate.engines.ledger import NodeLedger, reserve
from bedplate.engines.record import GangRecord
from bedplate.engines.recorded import RecordedEngine
from tests.engines.registry import simulated_node
from tests.engines.workloads import finishing, gang


class InstantGang:
    def __init__(self, record: GangRecord) -> None:
        self.record = record
        self.is_stuck = False

    def follow(self) -> None:
        for rank in range(self.record.handle.num_tasks):
            self.record.started(rank, 0.0)
            self.record.exited(rank, 1.0, exit_code=0, cause=ExitCause.FINISHED)

    def cancel(self, grace_s: float) -> None:
        return None

    def wait_gone(self, grace_s: float) -> None:
        if self.is_stuck:
            raise UnavailableError("a process cannot be ended")

    def logs(self, rank: int) -> str:
        return f"log of {rank}"

    def forget(self) -> None:
        return None


class InstantEngine(RecordedEngine[InstantGang]):
    name = "instant"

    def __init__(self) -> None:
        super().__init__()
        self._ledger = NodeLedger(simulated_node("here", num_cores=2))
        self._numbers = itertools.count(1)
        self.is_broken = False
        self.num_released = 0

    def _start(self, gang: Gang, placement: Placement | None) -> InstantGang:
        if self.is_broken:
            raise OSError(28, "No space left on device")
        handle = GangHandle(id=f"{gang.name}-{next(self._numbers)}", name=gang.name, num_tasks=len(gang.tasks))
        return InstantGang(self._record.new(handle, reserve(gang, placement, [self._ledger])))

    def resources(self) -> tuple[Node, ...]:
        return (self._ledger.node,)

    def _release(self) -> None:
        self.num_released += 1


def test_an_engine_that_writes_only_what_differs_is_an_engine() -> None:
    engine = InstantEngine()
    handle = engine.submit(gang(finishing(), finishing()))
    assert engine.gangs() == (handle,)
    assert engine.wait(handle).state is TaskState.DONE
    assert [event.kind for event in engine.events()] == [TaskEventKind.STARTED, TaskEventKind.EXITED] * 2
    assert engine.logs(handle, 1) == "log of 1"
    assert engine.statistics().tasks_started == 2
    engine.forget(handle)
    assert engine.gangs() == ()


def test_an_event_that_is_entered_without_the_lock_is_an_error() -> None:
    engine = InstantEngine()
    record = engine._record.new(GangHandle(id="a-1", name="a", num_tasks=1), Placement(tasks=()))
    with pytest.raises(RuntimeError, match="un-acquired lock"):
        engine._record.happened(record, TaskEventKind.PROGRESS, 0, 0.0, {})


def test_a_gang_that_the_machine_refuses_is_not_known() -> None:
    engine = InstantEngine()
    engine.is_broken = True
    with pytest.raises(UnavailableError, match="No space left on device"):
        engine.submit(gang(finishing()))
    assert (engine.gangs(), engine.statistics().gangs_submitted) == ((), 0)


def test_what_the_engine_holds_is_released_once_even_if_a_process_is_stuck() -> None:
    engine = InstantEngine()
    handle = engine.submit(gang(finishing()))
    engine._find(handle).is_stuck = True
    with pytest.raises(UnavailableError, match="cannot be ended"):
        engine.close()
    engine.close()
    assert engine.num_released == 1
    with pytest.raises(UsageError, match="closed"):
        engine.submit(gang(finishing()))
