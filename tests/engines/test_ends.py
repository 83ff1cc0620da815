"""Conformance: every way in which a task can end, and what is said about it."""

import signal
import time
from collections.abc import Callable

import pytest

from bedplate.core.workload import ExitCause, Task, TaskEventKind, TaskState
from bedplate.engines.base import Engine, FaultInjection, GangHandle
from tests.engines.registry import EngineUnderTest
from tests.engines.workloads import (
    beating,
    deaf,
    endless,
    failing,
    falling_silent,
    finishing,
    gang,
    leaving,
    task,
    unheard,
)

WaitReady = Callable[[GangHandle], None]


def test_an_entry_that_raises_has_failed_with_its_words(engine: Engine) -> None:
    (ended,) = engine.wait(engine.submit(gang(failing("the disk is full")))).tasks
    assert (ended.state, ended.exit_code, ended.cause) == (TaskState.FAILED, 1, ExitCause.ERROR)
    assert ended.message == "ValueError: the disk is full"


def test_an_exit_code_is_kept(engine: Engine) -> None:
    (ended,) = engine.wait(engine.submit(gang(leaving(3)))).tasks
    assert (ended.state, ended.exit_code, ended.cause) == (TaskState.FAILED, 3, ExitCause.ERROR)


@pytest.mark.needs("execution")
@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("tests.engines.nowhere:main", "ModuleNotFoundError"),
        ("tests.engines.tasks:nothing", "AttributeError"),
        ("tests.engines.tasks:return_a_list", "must return a JSON object or None, not list"),
    ],
)
def test_an_entry_that_cannot_be_called_has_failed_and_says_why(engine: Engine, entry: str, words: str) -> None:
    (ended,) = engine.wait(engine.submit(gang(Task(entry=entry)))).tasks
    assert (ended.state, ended.cause) == (TaskState.FAILED, ExitCause.ERROR)
    assert words in ended.message


def test_a_gang_with_one_failed_task_has_failed(engine: Engine) -> None:
    status = engine.wait(engine.submit(gang(finishing(), failing("broken"))))
    assert status.state is TaskState.FAILED
    assert status.tasks[0].state is TaskState.DONE


def test_a_killed_task_leaves_the_others_running(engine: Engine, wait_ready: WaitReady) -> None:
    assert isinstance(engine, FaultInjection)
    handle = engine.submit(gang(endless(), endless()))
    wait_ready(handle)
    num_events = len(engine.events(handle))
    engine.kill(handle, 1, signal.SIGKILL)
    (event,) = engine.events(handle, num_events, wait_s=20)
    assert (event.kind, event.rank) == (TaskEventKind.EXITED, 1)
    survivor, killed = engine.status(handle).tasks
    assert (killed.state, killed.exit_code, killed.cause) == (TaskState.FAILED, -9, ExitCause.SIGNAL)
    assert survivor.state is TaskState.RUNNING


def test_killing_a_task_that_has_ended_changes_nothing(engine: Engine) -> None:
    assert isinstance(engine, FaultInjection)
    handle = engine.submit(gang(finishing()))
    before = engine.wait(handle)
    engine.kill(handle, 0, signal.SIGKILL)
    assert engine.status(handle) == before


def test_a_cancelled_gang_is_gone_when_cancel_returns(engine: Engine, wait_ready: WaitReady) -> None:
    handle = engine.submit(gang(endless(), endless()))
    wait_ready(handle)
    engine.cancel(handle)
    status = engine.status(handle)
    assert status.is_final
    assert {item.state for item in status.tasks} == {TaskState.CANCELLED}
    assert {item.cause for item in status.tasks} == {ExitCause.CANCELLED}


def test_a_gang_may_be_cancelled_before_it_has_started(engine: Engine) -> None:
    handle = engine.submit(gang(endless()))
    engine.cancel(handle)
    assert engine.status(handle).state is TaskState.CANCELLED


def test_a_task_that_ignores_sigterm_is_killed_after_the_grace(engine: Engine, wait_ready: WaitReady) -> None:
    handle = engine.submit(gang(deaf()))
    wait_ready(handle)
    engine.cancel(handle, grace_s=0.2)
    (ended,) = engine.status(handle).tasks
    assert (ended.state, ended.exit_code, ended.cause) == (TaskState.CANCELLED, -9, ExitCause.CANCELLED)


def test_cancelling_what_has_ended_changes_nothing(engine: Engine) -> None:
    handle = engine.submit(gang(finishing()))
    before = engine.wait(handle)
    engine.cancel(handle)
    assert engine.status(handle) == before


def test_waiting_with_a_timeout_returns_what_is_so_far(engine: Engine) -> None:
    handle = engine.submit(gang(endless()))
    start_s = time.monotonic()
    assert not engine.wait(handle, timeout_s=0.1).is_final
    assert time.monotonic() - start_s < 5


def test_a_task_that_was_heard_and_falls_silent_is_hung(engine: Engine) -> None:
    (ended,) = engine.wait(engine.submit(gang(falling_silent(), heartbeat_timeout_s=0.3))).tasks
    assert (ended.state, ended.cause) == (TaskState.FAILED, ExitCause.HUNG)
    assert "silent for" in ended.message


def test_a_silent_rank_is_hung_although_its_peer_keeps_beating(engine: Engine) -> None:
    handle = engine.submit(gang(beating(for_s=10.0), falling_silent(), heartbeat_timeout_s=0.8))
    while not engine.status(handle).tasks[1].state.is_final:
        assert engine.events(handle, len(engine.events(handle)), wait_s=20)
    assert engine.status(handle).tasks[1].cause is ExitCause.HUNG
    assert engine.status(handle).tasks[0].state is TaskState.RUNNING


def test_a_stopped_process_is_hung(engine: Engine, wait_ready: WaitReady) -> None:
    assert isinstance(engine, FaultInjection)
    handle = engine.submit(gang(beating(for_s=60.0), heartbeat_timeout_s=0.8))
    wait_ready(handle)
    engine.kill(handle, 0, signal.SIGSTOP)
    (ended,) = engine.wait(handle).tasks
    assert ended.cause is ExitCause.HUNG


def test_a_task_that_keeps_beating_is_left_alone(engine: Engine) -> None:
    status = engine.wait(engine.submit(gang(beating(for_s=1.5), heartbeat_timeout_s=0.8)))
    assert status.state is TaskState.DONE, status


def test_a_task_that_was_never_heard_is_not_judged(engine: Engine) -> None:
    status = engine.wait(engine.submit(gang(unheard(for_s=0.6), heartbeat_timeout_s=0.1)))
    assert status.state is TaskState.DONE, status


@pytest.mark.needs("node loss")
def test_tasks_of_a_lost_node_end_and_others_keep_running(under_test: EngineUnderTest, wait_ready: WaitReady) -> None:
    engine = under_test.engine
    handle = engine.submit(gang(*[endless()] * under_test.num_cores))
    wait_ready(handle)
    num_events = len(engine.events(handle))
    lost = engine.status(handle).tasks[-1].node
    under_test.lose_node(lost)
    hit = {item.rank for item in engine.status(handle).tasks if item.node == lost}
    seen = engine.events(handle, num_events, under_test.patience_s)
    while {event.rank for event in seen if event.kind is TaskEventKind.EXITED} < hit:
        newer = engine.events(handle, num_events + len(seen), under_test.patience_s)
        assert newer, "the node's tasks did not end in time"
        seen += newer
    for item in engine.status(handle).tasks:
        expected = (TaskState.FAILED, ExitCause.NODE_LOST) if item.node == lost else (TaskState.RUNNING, None)
        assert (item.state, item.cause) == expected
    assert {event.rank for event in seen if event.kind is TaskEventKind.NODE_LOST} == hit
    assert all(event.attributes["node"] == lost for event in seen if event.kind is TaskEventKind.NODE_LOST)


@pytest.mark.needs("node loss")
def test_a_lost_node_is_not_in_the_resources_and_gets_no_work(under_test: EngineUnderTest) -> None:
    engine = under_test.engine
    lost = engine.resources()[0].id
    under_test.lose_node(lost)
    left = engine.resources()
    assert lost not in {node.id for node in left}
    status = engine.wait(engine.submit(gang(*[finishing()] * sum(node.num_cores for node in left))))
    assert status.state is TaskState.DONE
    assert lost not in {item.node for item in status.tasks}


@pytest.mark.needs("execution")
def test_an_exit_after_the_entry_returned_is_still_a_failure(engine: Engine) -> None:
    (ended,) = engine.wait(engine.submit(gang(task("abort_at_exit")))).tasks
    assert (ended.state, ended.exit_code) == (TaskState.FAILED, -signal.SIGABRT)
    assert "after its entry had returned" in ended.message
