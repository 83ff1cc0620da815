"""Runs and steps: one transaction for what belongs together, pages instead of everything, one query for many."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy

from bedplate.core.clock import VirtualClock
from bedplate.core.errors import UsageError
from bedplate.state.database.location import StateLocation, read_location
from bedplate.state.records import ExclusionRecord, GangRecord, Status
from bedplate.state.store import StateStore
from tests.state.samples import claim, measured


def test_the_same_key_is_the_same_run_until_a_new_one_is_asked_for(state: StateStore) -> None:
    first = claim(state)
    assert claim(state) == first
    second = claim(state, new=True)
    assert (first.generation, second.generation) == (1, 2)
    assert claim(state).id == second.id == f"{first.id}-2"
    assert [step.status for step in state.steps.of_run(first.id)] == [Status.WAITING, Status.WAITING]


def test_two_keys_that_begin_alike_are_two_runs(state: StateStore) -> None:
    ids = [claim(state, key="a" * 8 + last * 24).id for last in "bc"]
    assert ids == ["demo-aaaaaaaa", "demo-aaaaaaaacccccccc"]


def test_a_file_whose_name_is_no_utf_8_can_be_run(state: StateStore) -> None:
    assert claim(state, file="caf\udce9.yaml").file == "caf?.yaml"


def test_a_text_that_no_database_can_hold_is_a_usage_error(state: StateStore) -> None:
    with pytest.raises(UsageError, match="cannot store"):
        state.runs.named("\udcff")


def test_claims_from_many_threads_make_one_run(state: StateStore) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(claim(state).id)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_second_attempt_keeps_finished_steps_and_resets_the_others(state: StateStore) -> None:
    run_id = claim(state).id
    assert state.runs.start_attempt(run_id, "local", {"pid": 1}) == 1
    state.steps.start(run_id, "one")
    state.steps.finish(run_id, "one", seconds=1.5, result={"path": "/x"}, measured=[measured(2.5)])
    state.steps.start(run_id, "two")
    assert state.runs.start_attempt(run_id, "local", {"pid": 2}) == 2
    one, two = state.steps.of_run(run_id)
    assert (one.status, one.seconds, one.result) == (Status.DONE, 1.5, {"path": "/x"})
    assert (two.status, two.attempts) == (Status.WAITING, 1)
    assert state.measurements.of_run(run_id) == (measured(2.5),)
    run = state.runs.get(run_id)
    assert run is not None
    assert (run.status, run.holder) == (Status.RUNNING, {"pid": 2})


def test_measurements_of_a_step_that_runs_again_replace_the_old_ones(state: StateStore) -> None:
    run_id = claim(state).id
    state.measurements.replace_of_run(run_id, [measured(9.0)])
    for value in (1.0, 2.0):
        state.steps.finish(run_id, "two", seconds=1, result={}, measured=[measured(value)])
    state.steps.finish(run_id, "one", seconds=1, result={}, measured=[measured(0.0)])
    assert [item.value for item in state.measurements.of_run(run_id)] == [0.0, 2.0, 9.0], "by step, those of the run last"


def test_a_measurement_that_is_not_finite_comes_back(state: StateStore) -> None:
    run_id = claim(state).id
    state.steps.finish(run_id, "one", seconds=1, result={"loss": float("nan")}, measured=[measured(float("inf"))])
    assert state.measurements.of_run(run_id) == (measured(float("inf")),)
    assert state.steps.of_run(run_id)[0].result == {"loss": "NaN"}


def test_a_forgotten_step_leaves_nothing(state: StateStore) -> None:
    run_id = claim(state).id
    state.steps.finish(run_id, "one", seconds=1, result={}, measured=[measured(1.0)])
    state.exclusions.add(run_id, ExclusionRecord(step="one", node_id="n", cores=(1,), reason="slow"))
    state.steps.forget(run_id, "one")
    assert state.steps.of_run(run_id)[0].status is Status.WAITING
    assert state.measurements.of_run(run_id) == ()
    assert state.exclusions.of_run(run_id) == ()


def test_a_request_to_cancel_concerns_only_the_attempt_that_runs(state: StateStore) -> None:
    run_id = claim(state).id
    first = state.runs.start_attempt(run_id, "local")
    state.runs.request_cancel(run_id)
    assert state.runs.is_cancel_requested(run_id, first)
    assert not state.runs.is_cancel_requested(run_id, state.runs.start_attempt(run_id, "local"))


def test_gangs_and_exclusions_come_back_as_they_were(state: StateStore) -> None:
    run_id = claim(state).id
    gang = GangRecord(step="one", attempt=1, id="g-1", num_tasks=2)
    exclusion = ExclusionRecord(step="one", node_id="n", cores=(1, 2), reason="slow")
    state.gangs.add(run_id, gang)
    state.exclusions.add(run_id, exclusion)
    assert state.gangs.of_run(run_id) == state.gangs.of_run(run_id, "one") == (gang,)
    assert state.gangs.of_run(run_id, "two") == ()
    assert state.exclusions.of_run(run_id) == (exclusion,)


def test_pages_follow_one_another_without_gap_or_repetition(location: StateLocation) -> None:
    clock = VirtualClock(1000.0)
    state = StateStore.open(location, clock)
    ids = [claim(state, key=f"{number:032d}", name=f"run{number}").id for number in range(5)]  # all at the same time
    clock.advance(1.0)
    state.runs.start_attempt(ids[2], "local")
    first = state.runs.page(2)
    second = state.runs.page(2, first[-1])
    third = state.runs.page(2, second[-1])
    assert [run.id for run in (*first, *second, *third)] == [ids[2], *reversed([ids[0], ids[1], ids[3], ids[4]])]
    assert state.runs.page(2, third[-1]) == ()
    state.close()


def test_a_run_is_found_by_name_and_by_id_prefix(state: StateStore) -> None:
    claim(state, key="a" * 32)
    newer = claim(state, key="b" * 32)
    state.runs.start_attempt(newer.id, "local")
    found = state.runs.named("demo")
    assert found is not None
    assert found.id == newer.id
    assert [run.id for run in state.runs.starting_with("demo-", 5)] == ["demo-aaaaaaaa", "demo-bbbbbbbb"]
    assert state.runs.starting_with("demo_", 5) == (), "_ is no wildcard"
    assert state.runs.get("demo") is None


@contextmanager
def counted_queries(state: StateStore) -> Iterator[list[str]]:
    queries: list[str] = []

    def count(_c: object, _cursor: object, statement: str, *_rest: object) -> None:
        queries.append(statement)

    sqlalchemy.event.listen(state.database.engine, "before_cursor_execute", count)
    yield queries
    sqlalchemy.event.remove(state.database.engine, "before_cursor_execute", count)


def test_steps_of_many_runs_are_one_query(state: StateStore) -> None:
    ids = [claim(state, key=f"{number:032d}").id for number in range(20)]
    with counted_queries(state) as queries:
        steps = state.steps.of_runs(ids)
    assert [len(steps[run_id]) for run_id in ids] == [2] * 20
    assert sum(query.startswith("SELECT") for query in queries) == 1


@pytest.mark.parametrize("state_text", ["sqlite"], indirect=True)
def test_a_page_is_read_from_an_index(state: StateStore) -> None:
    before = claim(state)
    with counted_queries(state) as queries:
        state.runs.page(10)
        state.runs.page(10, before)
    selects = [query for query in queries if query.startswith("SELECT")]
    for query in selects:
        with state.database.engine.connect() as connection:
            values = tuple([1.0] * query.count("?"))
            plan = "\n".join(str(row) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", values))
        assert "runs_newest_first" in plan
        assert "TEMP B-TREE" not in plan, "no sorting"


def test_a_reader_sees_complete_transactions_while_another_process_writes(
    state: StateStore, state_text: str, location: StateLocation
) -> None:
    run_id = claim(state).id
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from bedplate.state.database.location import read_location\n"
        "from bedplate.state.store import StateStore\n"
        "from bedplate.core.measurement import Measurement, Provenance\n"
        "state = StateStore.open(read_location(sys.argv[1], Path.home))\n"
        "for n in range(40):\n"
        "    m = Measurement(id='n', value=float(n), unit='count', provenance=Provenance.MEASURED)\n"
        "    state.steps.finish(sys.argv[2], 'one', seconds=n, result={'n': n}, measured=[m])\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, state_text, run_id], env=dict(os.environ))
    while writer.poll() is None:
        assert len(state.measurements.of_run(run_id)) <= 1
    assert writer.returncode == 0
    assert state.steps.of_run(run_id)[0].seconds == 39
    assert state.measurements.of_run(run_id)[0].value == 39.0


def test_a_run_is_locked_across_machines_where_the_database_is_shared(state: StateStore, location: StateLocation) -> None:
    other = StateStore.open(location)
    with state.locks.hold("r") as lock:
        assert lock is not None
        if location.is_sqlite:
            assert other.locks.held(["r"]) == frozenset(), "a file in the run's directory is the lock there"
        else:
            assert other.locks.held(["r", "s"]) == {"r"}
            with other.locks.hold("r") as second:
                assert second is None
            assert other.locks.held(["r"]) == {"r"}
    assert other.locks.held(["r"]) == frozenset()
    other.close()


def test_a_lock_lost_with_its_session_is_taken_again_if_free(postgres_url: str, tmp_path: Path) -> None:
    location = read_location(postgres_url, lambda: tmp_path)
    state, other = StateStore.open(location), StateStore.open(location)
    with state.locks.hold("r") as lock:
        assert lock is not None
        cut_lock_sessions(other)
        assert other.locks.held(["r"]) == frozenset()
        assert lock.take()
        assert other.locks.held(["r"]) == {"r"}
        cut_lock_sessions(other)
        with other.locks.hold("r") as taken_over:
            assert taken_over is not None
            assert not lock.take()
    state.close()
    other.close()


def test_an_attempt_that_was_overtaken_does_not_end_the_later_one(state: StateStore) -> None:
    run_id = claim(state).id
    first = state.runs.start_attempt(run_id, "local")
    state.runs.start_attempt(run_id, "local")
    state.runs.finish(run_id, Status.CANCELLED, None, attempt=first)
    run = state.runs.get(run_id)
    assert run is not None
    assert run.status is Status.RUNNING


def cut_lock_sessions(state: StateStore) -> None:
    cut = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
    with state.database.writing() as connection:
        connection.exec_driver_sql(cut)
    deadline_s = time.monotonic() + 30
    while state.locks.held(["r"]) and time.monotonic() < deadline_s:
        time.sleep(0.01)
