"""The record of an engine: numbered events, final states, counters, and buffers with a bound."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.core.errors import NotFoundError, UsageError
from bedplate.core.workload import ExitCause, GangHandle, Placement, TaskEventKind, TaskPlacement, TaskState
from bedplate.engines.record import EngineRecord, GangRecord


def open_gang(engine: EngineRecord, num_tasks: int = 1, name: str = "gang") -> GangRecord:
    places = tuple(TaskPlacement(node="here", cores=(rank,)) for rank in range(num_tasks))
    record = engine.new(GangHandle(id=name, name=name, num_tasks=num_tasks), Placement(tasks=places))
    engine.add(record)
    return record


def test_it_is_final_when_the_last_task_has_ended() -> None:
    record = open_gang(EngineRecord(), num_tasks=2)
    record.exited(0, 1.0, exit_code=0, cause=ExitCause.FINISHED)
    was_final = record.is_final
    record.exited(1, 2.0, exit_code=0, cause=ExitCause.FINISHED)
    assert (was_final, record.is_final) == (False, True)
    assert record.status().state is TaskState.DONE


def test_the_newest_progress_is_kept_and_what_was_dropped_is_counted() -> None:
    engine = EngineRecord(max_progress_events=100)
    record = open_gang(engine)
    record.started(0, 0.0)
    for step in range(1000):
        record.progress(0, 1.0, {"step": step})
    record.exited(0, 2.0, exit_code=0, cause=ExitCause.FINISHED)
    events = engine.events()
    assert events == engine.events(record.handle)
    assert events[0].kind is TaskEventKind.STARTED
    assert events[-1].kind is TaskEventKind.EXITED
    steps = [event.attributes["step"] for event in events if event.kind is TaskEventKind.PROGRESS]
    assert steps == list(range(1000 - len(steps), 1000))
    assert 100 <= len(steps) <= 125
    assert engine.statistics().events_dropped == 1000 - len(steps)
    assert engine.statistics().events == 1002


def test_counters_outlive_the_gangs_that_they_count() -> None:
    engine = EngineRecord()
    for number in range(50):
        record = open_gang(engine, name=f"gang-{number}")
        record.started(0, 0.0)
        record.exited(0, 1.0, exit_code=1, cause=ExitCause.ERROR)
        engine.forget(record.handle)
    counted = engine.statistics()
    assert (counted.gangs_submitted, counted.gangs_running, counted.tasks_started, counted.tasks_failed) == (50, 0, 50, 50)
    assert counted.events == 100
    assert (engine.gangs(), engine.events()) == ((), ())


def test_a_gang_can_be_forgotten_only_once_it_has_ended() -> None:
    engine = EngineRecord()
    record = open_gang(engine)
    with pytest.raises(UsageError, match="has not ended"):
        engine.forget(record.handle)
    record.exited(0, 1.0, exit_code=0, cause=ExitCause.FINISHED)
    engine.forget(record.handle)
    with pytest.raises(NotFoundError, match="'gang'"):
        engine.find(record.handle)


happenings = st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["progress", "heard", "lost", "forget"])), max_size=80)


@given(happenings, st.integers(1, 20))
def test_numbers_are_not_reused_and_only_progress_is_dropped(happened: list[tuple[int, str]], bound: int) -> None:
    engine = EngineRecord(max_progress_events=bound)
    records = [open_gang(engine, name=f"gang-{index}") for index in range(3)]
    forgotten: set[int] = set()
    for index, what in happened:
        if index in forgotten:
            continue
        if what == "progress":
            records[index].progress(0, 0.0, {})
        elif what == "heard":
            records[index].heartbeat(0, 0.0)
        elif what == "lost":
            records[index].node_lost(0, 0.0)
        else:
            records[index].exited(0, 0.0, exit_code=0, cause=ExitCause.FINISHED)
            engine.forget(records[index].handle)
            forgotten.add(index)
    kept = engine.events()
    sequence = [event.sequence for event in kept]
    assert sequence == sorted(set(sequence))
    assert sequence[-1:] <= [engine.num_events - 1]
    known = [record for index, record in enumerate(records) if index not in forgotten]
    by_gang = [event for record in known for event in engine.events(record.handle)]
    assert sorted(event.sequence for event in by_gang) == sequence
    assert all(
        engine.events(after=after) == tuple(e for e in kept if e.sequence >= after) for after in range(engine.num_events)
    )
    for record in known:
        num_lost = sum(1 for index, what in happened if records[index] is record and what == "lost")
        assert sum(event.kind is TaskEventKind.NODE_LOST for event in engine.events(record.handle)) == num_lost
