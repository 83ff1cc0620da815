"""Events and samples: about runs and other things, read from where a reader stopped, and never the step's burden."""

import threading
import time
from collections.abc import Callable

import pytest

from bedplate.core.errors import UnavailableError
from bedplate.core.events.event import Event, MetricSample, Severity, Subject, SubjectKind
from bedplate.state.database.location import StateLocation
from bedplate.state.sink import StateSink
from bedplate.state.store import StateStore
from tests.state.samples import claim

NODE = Subject(kind=SubjectKind.NODE, id="n1")
DOCTOR = Subject(kind=SubjectKind.SERVICE, id="doctor")


def test_events_and_samples_of_a_sink_carry_run_and_step(state: StateStore) -> None:
    run_id = claim(state).id
    sink = StateSink.for_run(state, run_id)
    step = sink.for_step("one")
    step.emit(Event(kind="task.exited", at_s=1.0, severity=Severity.ERROR, attributes={"code": -9, "odd": float("nan")}))
    step.emit(Event(kind="taskforce", at_s=1.5))
    step.sample(MetricSample(name="train_loss", value=2.5, at_s=2.0, labels={"rank": "0"}))
    step.sample(MetricSample(name="train_loss", value=float("inf"), at_s=3.0))
    sink.close()
    (event,) = state.events.after(run_id=run_id, kind="task")
    assert (event.step, event.kind, event.severity) == ("one", "task.exited", "error")
    assert event.subject == Subject(kind=SubjectKind.STEP, id=f"{run_id}/one")
    assert event.attributes == {"code": -9, "odd": None}
    samples = state.metrics.of_run(run_id, "train_loss")
    assert [(item.value, item.labels) for item in samples] == [(2.5, {"rank": "0"}), (None, {})]
    assert state.metrics.of_subject(event.subject, "train_loss", since_s=2.5) == samples[1:]
    assert (sink.statistics().written, sink.statistics().dropped) == (4, 0)


def test_events_outside_runs_are_stored_under_their_subject(state: StateStore) -> None:
    sink = StateSink(state, DOCTOR)
    sink.emit(Event(kind="a", at_s=1.0))
    sink.emit(Event(kind="b", at_s=2.0, subject=NODE))
    sink.close()
    assert [(event.kind, event.run_id, event.step) for event in state.events.after(subject=DOCTOR)] == [("a", None, "")]
    assert [event.kind for event in state.events.after(subject=NODE)] == ["b"]
    assert [event.kind for event in state.events.after(subject=Subject(kind=SubjectKind.NODE, id=""))] == ["b"]
    assert [event.kind for event in state.events.after()] == ["a", "b"]


def test_a_reader_continues_after_the_last_event_it_saw(state: StateStore) -> None:
    sink = StateSink(state, DOCTOR)
    for at_s in range(5):
        sink.emit(Event(kind="tick", at_s=at_s))
    sink.close()
    first = state.events.after(limit=2)
    assert [event.at_s for event in state.events.after(first[-1].number)] == [2, 3, 4]


def test_a_reader_beside_many_writers_misses_nothing(state: StateStore, location: StateLocation) -> None:
    row = {"subject_kind": "node", "subject_id": "n", "run_id": None, "step": "", "kind": "tick", "severity": "info"}
    rows = [row | {"at_s": float(at_s), "source": "", "message": "", "attributes": {}} for at_s in range(5)]

    def write() -> None:
        for _ in range(10):
            state.append(rows, [])

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    seen: list[int] = []
    is_last = False
    while not is_last:
        is_last = not any(writer.is_alive() for writer in writers)
        while page := state.events.after(seen[-1] if seen else 0, limit=7):
            seen += [event.number for event in page]
    assert len(seen) == len(set(seen)) == 200


def test_text_that_databases_refuse_is_stored_without_it(state: StateStore) -> None:
    sink = StateSink(state, DOCTOR)
    sink.emit(Event(kind="odd", at_s=1.0, message="a\0b \udcff", attributes={"x": "a\0b \udcff"}))
    sink.close()
    assert sink.error is None
    (event,) = state.events.after()
    assert event.message == "a\N{REPLACEMENT CHARACTER}b ?"


def test_a_flood_of_events_is_bounded_and_the_loss_is_reported(state: StateStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bedplate.state.sink._CAPACITY", 10)
    monkeypatch.setattr("bedplate.state.sink._FLUSH_EVERY_S", 60.0)
    sink = StateSink(state, DOCTOR)
    for at_s in range(25):
        sink.emit(Event(kind="tick", at_s=at_s))
    assert (sink.statistics().waiting, sink.statistics().dropped) == (10, 15)
    sink.close()
    kinds = [event.kind for event in state.events.after()]
    assert kinds == ["tick"] * 10 + ["events.dropped"]
    assert state.events.after(kind="events.dropped")[0].attributes == {"dropped": 15}


def test_what_cannot_be_stored_for_a_moment_is_stored_later(state: StateStore, monkeypatch: pytest.MonkeyPatch) -> None:
    real = state.append
    monkeypatch.setattr("bedplate.state.sink._FLUSH_EVERY_S", 0.01)
    monkeypatch.setattr(state, "append", _raising(UnavailableError("locked")))
    sink = StateSink(state, DOCTOR)
    sink.emit(Event(kind="first", at_s=1.0))
    deadline_s = time.monotonic() + 30
    while sink.error is None and time.monotonic() < deadline_s:
        time.sleep(0.01)
    sink.emit(Event(kind="second", at_s=2.0))
    monkeypatch.setattr(state, "append", real)
    sink.close()
    assert [event.kind for event in state.events.after()] == ["first", "second"]
    assert str(sink.error) == "locked"


def _raising(error: Exception) -> Callable[[object, object], None]:
    def append(_events: object, _samples: object) -> None:
        raise error

    return append
