"""Conformance: the story of a gang is told in order, without gaps, and to its end."""

import time

import pytest

from bedplate.core.workload import ExitCause, TaskEvent, TaskEventKind
from bedplate.engines.base import Engine, GangHandle
from tests.engines.registry import EngineUnderTest
from tests.engines.workloads import endless, failing, finishing, gang, measuring_nothing, reporting, writing


def all_events(engine: Engine, handle: GangHandle) -> tuple[TaskEvent, ...]:
    engine.wait(handle)
    return engine.events(handle)


def test_sequence_numbers_have_no_gap_and_times_do_not_run_backwards(engine: Engine) -> None:
    events = all_events(engine, engine.submit(gang(reporting(5), failing("broken"))))
    assert [event.sequence for event in events] == list(range(len(events)))
    assert [event.at_s for event in events] == sorted(event.at_s for event in events)


def test_each_rank_starts_then_reports_then_exits_and_nothing_follows(engine: Engine) -> None:
    events = all_events(engine, engine.submit(gang(reporting(3), reporting(2))))
    for rank, steps in ((0, 3), (1, 2)):
        kinds = [event.kind for event in events if event.rank == rank]
        assert kinds == [TaskEventKind.STARTED, *[TaskEventKind.PROGRESS] * steps, TaskEventKind.EXITED]
    assert events[-1].kind is TaskEventKind.EXITED


def test_progress_arrives_in_order_with_its_attributes(engine: Engine) -> None:
    events = all_events(engine, engine.submit(gang(reporting(20))))
    assert [event.attributes["step"] for event in events if event.kind is TaskEventKind.PROGRESS] == list(range(20))


def test_numbers_that_are_not_finite_arrive_as_such(engine: Engine) -> None:
    handle = engine.submit(gang(measuring_nothing()))
    _, reported, exited = all_events(engine, handle)
    expected = "{'numbers': [nan, inf, -inf], 'word': 'NaN'}"
    said = [reported.attributes, exited.attributes["result"], engine.status(handle).tasks[0].result]
    assert [repr(item) for item in said] == [expected] * 3


def test_an_exit_tells_code_cause_message_and_result(engine: Engine) -> None:
    events = all_events(engine, engine.submit(gang(finishing({"answer": 42}), failing("broken"))))
    exits = {event.rank: event.attributes for event in events if event.kind is TaskEventKind.EXITED}
    assert exits[0] == {"exit_code": 0, "cause": ExitCause.FINISHED, "message": "", "result": {"answer": 42}}
    assert exits[1]["exit_code"] == 1
    assert exits[1]["cause"] == ExitCause.ERROR
    assert "broken" in str(exits[1]["message"])


def test_a_reader_gets_only_what_it_has_not_seen(engine: Engine) -> None:
    handle = engine.submit(gang(reporting(4)))
    events = all_events(engine, handle)
    assert engine.events(handle, after=2) == events[2:]
    assert engine.events(handle, after=len(events)) == ()


def test_waiting_for_events_ends_with_the_next_one(under_test: EngineUnderTest) -> None:
    handle = under_test.engine.submit(gang(endless()))
    seen: tuple[TaskEvent, ...] = ()
    while len(seen) < 2:
        newer = under_test.engine.events(handle, len(seen), under_test.patience_s)
        assert newer, "an event was due"
        seen += newer
    assert [event.kind for event in seen] == [TaskEventKind.STARTED, TaskEventKind.PROGRESS]


def test_waiting_for_events_gives_up_after_the_time_given(under_test: EngineUnderTest) -> None:
    engine = under_test.engine
    handle = engine.submit(gang(endless()))
    num_seen = 0
    while num_seen < 2:
        num_seen += len(engine.events(handle, num_seen, under_test.patience_s))
    start_s = time.monotonic()
    assert engine.events(handle, num_seen, wait_s=0.1) == ()
    assert time.monotonic() - start_s < 5


def test_waiting_for_events_of_an_ended_gang_returns_at_once(engine: Engine) -> None:
    handle = engine.submit(gang(finishing()))
    num_events = len(all_events(engine, handle))
    start_s = time.monotonic()
    assert engine.events(handle, num_events, wait_s=20) == ()
    assert time.monotonic() - start_s < 5


def test_a_tasks_log_outlasts_the_engine(engine: Engine) -> None:
    handle = engine.submit(gang(writing("first"), writing("second")))
    engine.wait(handle)
    engine.close()
    assert "to stdout first" in engine.logs(handle, 0)
    assert "to stderr first" in engine.logs(handle, 0)
    assert "to stdout second" in engine.logs(handle, 1)


def test_a_log_comes_back_as_it_was_written(engine: Engine) -> None:
    """Progress bars return the carriage; a log that lost its last line, or its returns, tells another story (ray#46413)."""
    handle = engine.submit(gang(writing(" 10%\r 20%\r\n温度\t21 °C")))
    engine.wait(handle)
    assert engine.logs(handle, 0) == "".join(f"to {stream}  10%\r 20%\r\n温度\t21 °C\n" for stream in ("stdout", "stderr"))


@pytest.mark.needs("execution")
def test_the_traceback_of_a_failed_task_is_in_its_log(engine: Engine) -> None:
    handle = engine.submit(gang(failing("broken")))
    engine.wait(handle)
    assert "Traceback" in engine.logs(handle, 0)
    assert "tasks.py" in engine.logs(handle, 0)
