"""Conformance: one sequence of events over all gangs of an engine, until they are forgotten."""

import time

import pytest

from bedplate.core.errors import NotFoundError, UsageError
from bedplate.core.workload import TaskEventKind
from bedplate.engines.base import Engine
from tests.engines.registry import EngineUnderTest
from tests.engines.workloads import endless, failing, finishing, gang, reporting


def test_all_gangs_share_one_sequence_and_each_event_names_its_gang(engine: Engine) -> None:
    first, second = engine.submit(gang(reporting(3), name="first")), engine.submit(gang(finishing(), name="second"))
    engine.wait(first)
    engine.wait(second)
    events = engine.events()
    assert [event.sequence for event in events] == list(range(len(events)))
    assert {event.gang for event in events} == {first, second}
    for handle in (first, second):
        assert engine.events(handle) == tuple(event for event in events if event.gang == handle)
    assert engine.events(after=events[2].sequence) == events[2:]


def test_waiting_ends_with_the_next_event_of_any_gang(under_test: EngineUnderTest) -> None:
    engine = under_test.engine
    first = engine.submit(gang(finishing(), name="first"))
    engine.wait(first)
    after = engine.events()[-1].sequence + 1
    second = engine.submit(gang(endless(), name="second"))
    assert [event.gang for event in engine.events(after=after, wait_s=under_test.patience_s)][:1] == [second]


def test_waiting_for_events_of_a_closed_engine_returns_immediately(engine: Engine) -> None:
    engine.wait(engine.submit(gang(finishing())))
    engine.close()
    start_s = time.monotonic()
    assert engine.events(after=engine.statistics().events, wait_s=20) == ()
    assert time.monotonic() - start_s < 5


def test_a_forgotten_gang_is_gone_and_still_counted(engine: Engine) -> None:
    kept, dropped = engine.submit(gang(finishing(), name="kept")), engine.submit(gang(failing("broken"), name="dropped"))
    engine.wait(kept)
    engine.wait(dropped)
    before = engine.statistics()
    assert engine.gangs() == (kept, dropped)
    engine.forget(dropped)
    assert engine.gangs() == (kept,)
    assert {event.gang for event in engine.events()} == {kept}
    assert engine.statistics() == before
    for call in (engine.status, engine.events, engine.forget, engine.cancel, lambda handle: engine.logs(handle, 0)):
        with pytest.raises(NotFoundError, match=dropped.id):
            call(dropped)


def test_a_gang_that_runs_is_not_forgotten(engine: Engine) -> None:
    handle = engine.submit(gang(endless()))
    with pytest.raises(UsageError, match="has not ended"):
        engine.forget(handle)
    engine.cancel(handle)
    engine.forget(handle)
    assert engine.gangs() == ()


def test_numbers_go_on_where_gangs_were_forgotten(engine: Engine) -> None:
    first = engine.submit(gang(finishing()))
    engine.wait(first)
    last = engine.events()[-1]
    engine.forget(first)
    second = engine.submit(gang(finishing()))
    engine.wait(second)
    assert engine.events()[0].sequence == last.sequence + 1
    assert engine.events()[-1].kind is TaskEventKind.EXITED
