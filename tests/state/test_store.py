"""The state keeps runs whole: one transaction for what belongs together, readers beside the writer, clear errors."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy

from bedplate.core.errors import IntegrityError, UnavailableError, UsageError
from bedplate.core.events import Event, MetricSample, Severity
from bedplate.core.measurement import Measurement, Provenance
from bedplate.state.records import ExclusionRecord, GangRecord, RunRecord, Status
from bedplate.state.sink import StateSink
from bedplate.state.store import StateStore


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'state.db'}"


@pytest.fixture
def state(url: str) -> Iterator[StateStore]:
    store = StateStore.open(url)
    yield store
    store.close()


def claim(state: StateStore, key: str = "k" * 32, *, new: bool = False) -> RunRecord:
    return state.claim_run(
        key=key,
        name="demo",
        file="demo.yaml",
        document={"version": 1},
        engine="local",
        version="0",
        step_uses={"one": "test.write", "two": "test.write"},
        new=new,
    )


def measured(value: float) -> Measurement:
    return Measurement(id="resume_step_s", value=value, unit="s", provenance=Provenance.MEASURED, at_s=1.0)


def test_the_same_key_is_the_same_run_until_a_new_one_is_wanted(state: StateStore) -> None:
    first = claim(state)
    assert claim(state) == first
    second = claim(state, new=True)
    assert (first.generation, second.generation) == (1, 2)
    assert claim(state).id == second.id == f"{first.id}-2"
    assert [step.status for step in state.steps(first.id)] == [Status.WAITING, Status.WAITING]


def test_claims_from_many_threads_make_one_run(state: StateStore) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(claim(state).id)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_finished_step_is_kept_by_a_second_attempt_and_an_unfinished_one_waits_again(state: StateStore) -> None:
    run_id = claim(state).id
    assert state.start_attempt(run_id, "local") == 1
    state.start_step(run_id, "one")
    state.finish_step(run_id, "one", seconds=1.5, result={"path": "/x"}, measured=[measured(2.5)])
    state.start_step(run_id, "two")
    assert state.start_attempt(run_id, "local") == 2
    one, two = state.steps(run_id)
    assert (one.status, one.seconds, one.result) == (Status.DONE, 1.5, {"path": "/x"})
    assert (two.status, two.attempts) == (Status.WAITING, 1)
    assert state.measurements(run_id) == (measured(2.5),)


def test_measurements_of_a_step_that_runs_again_replace_the_old_ones(state: StateStore) -> None:
    run_id = claim(state).id
    state.measure_run(run_id, [measured(9.0)])
    for value in (1.0, 2.0):
        state.finish_step(run_id, "two", seconds=1, result={}, measured=[measured(value)])
    state.finish_step(run_id, "one", seconds=1, result={}, measured=[measured(0.0)])
    assert [item.value for item in state.measurements(run_id)] == [0.0, 2.0, 9.0], "by step, those of the run last"


def test_a_forgotten_step_leaves_nothing(state: StateStore) -> None:
    run_id = claim(state).id
    state.finish_step(run_id, "one", seconds=1, result={}, measured=[measured(1.0)])
    state.note_exclusion(run_id, ExclusionRecord(step="one", node_id="n", cores=(1,), reason="slow"))
    state.forget_step(run_id, "one")
    assert state.steps(run_id)[0].status is Status.WAITING
    assert state.measurements(run_id) == ()
    assert state.exclusions(run_id) == ()


def test_a_request_to_cancel_concerns_only_the_attempt_that_runs(state: StateStore) -> None:
    run_id = claim(state).id
    first = state.start_attempt(run_id, "local")
    state.request_cancel(run_id)
    assert state.is_cancel_requested(run_id, first)
    assert not state.is_cancel_requested(run_id, state.start_attempt(run_id, "local"))


def test_gangs_and_exclusions_come_back_as_they_were(state: StateStore) -> None:
    run_id = claim(state).id
    gang = GangRecord(step="one", attempt=1, id="g-1", num_tasks=2)
    exclusion = ExclusionRecord(step="one", node_id="n", cores=(1, 2), reason="slow")
    state.note_gang(run_id, gang)
    state.note_exclusion(run_id, exclusion)
    assert state.gangs(run_id) == state.gangs(run_id, "one") == (gang,)
    assert state.gangs(run_id, "two") == ()
    assert state.exclusions(run_id) == (exclusion,)


def test_events_and_samples_of_a_sink_carry_run_and_step(state: StateStore) -> None:
    run_id = claim(state).id
    sink = StateSink(state, run_id)
    step = sink.for_step("one")
    step.emit(Event(kind="task.exited", at_s=1.0, severity=Severity.ERROR, attributes={"code": -9, "odd": float("nan")}))
    step.emit(Event(kind="taskforce", at_s=1.5))
    step.sample(MetricSample(name="train_loss", value=2.5, at_s=2.0, labels={"rank": "0"}))
    step.sample(MetricSample(name="train_loss", value=float("inf"), at_s=3.0))
    sink.close()
    (event,) = state.events(run_id, kind="task")
    assert (event.step, event.kind, event.severity) == ("one", "task.exited", "error")
    assert event.attributes == {"code": -9, "odd": None}
    assert [(item.value, item.labels) for item in state.metrics(run_id, "train_loss")] == [(2.5, {"rank": "0"}), (None, {})]


def test_a_reader_goes_on_after_the_last_event_it_saw(state: StateStore) -> None:
    run_id = claim(state).id
    sink = StateSink(state, run_id)
    for at_s in range(5):
        sink.emit(Event(kind="tick", at_s=at_s))
    sink.close()
    first = state.events(run_id, limit=2)
    assert [event.at_s for event in state.events(run_id, after=first[-1].number)] == [2, 3, 4]


def test_a_flood_of_events_is_bounded_and_the_loss_is_told(state: StateStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bedplate.state.sink._CAPACITY", 10)
    monkeypatch.setattr("bedplate.state.sink._FLUSH_EVERY_S", 60.0)
    run_id = claim(state).id
    sink = StateSink(state, run_id)
    for at_s in range(25):
        sink.emit(Event(kind="tick", at_s=at_s))
    sink.close()
    kinds = [event.kind for event in state.events(run_id)]
    assert kinds == ["tick"] * 10 + ["events.dropped"]
    assert state.events(run_id, kind="events.dropped")[0].attributes == {"dropped": 15}


def test_a_reader_sees_whole_transactions_while_another_process_writes(state: StateStore, url: str) -> None:
    run_id = claim(state).id
    code = (
        "import sys\n"
        "from bedplate.state.store import StateStore\n"
        "from bedplate.core.measurement import Measurement, Provenance\n"
        "state = StateStore.open(sys.argv[1])\n"
        "for n in range(40):\n"
        "    m = Measurement(id='n', value=float(n), unit='count', provenance=Provenance.MEASURED)\n"
        "    state.finish_step(sys.argv[2], 'one', seconds=n, result={'n': n}, measured=[m])\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, url, run_id], env=dict(os.environ))
    seen: set[float | None] = set()
    while writer.poll() is None:
        seen |= {item.value for item in state.measurements(run_id)}
        assert len(state.measurements(run_id)) <= 1
    assert writer.returncode == 0
    assert state.steps(run_id)[0].seconds == 39
    assert state.measurements(run_id)[0].value == 39.0


def test_looking_at_a_state_that_is_not_there_makes_nothing(tmp_path: Path) -> None:
    assert StateStore.open_existing(f"sqlite:///{tmp_path / 'no' / 'state.db'}") is None
    assert list(tmp_path.iterdir()) == []


def test_another_versions_state_is_refused(state: StateStore, url: str) -> None:
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE schema SET version = 99")
    engine.dispose()
    with pytest.raises(IntegrityError, match="schema 99"):
        StateStore.open(url)


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "state.db"
    file.write_text("this is a letter to my grandmother, and long enough to be no database " * 20)
    before = file.read_bytes()
    with pytest.raises(IntegrityError, match="damaged, or is not bedplate's"):
        StateStore.open(f"sqlite:///{file}")
    assert file.read_bytes() == before


@pytest.mark.parametrize("url", ["nonsense", "nodialect:///x"])
def test_a_bad_url_is_a_usage_error(url: str) -> None:
    with pytest.raises(UsageError):
        StateStore.open(url)


def test_a_folder_that_cannot_be_made_is_unavailable_and_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UnavailableError) as raised:
        StateStore.open(f"sqlite:///{tmp_path / 'file' / 'state.db'}")
    assert "--state" in str(raised.value.next_step)
