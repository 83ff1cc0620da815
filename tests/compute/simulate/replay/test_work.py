"""Work is neither lost from the books nor done twice, whatever happens to a job."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.compute.scheduler.job import Job, Request
from bedplate.compute.simulate.replay.work import JobWork, rate_of
from bedplate.compute.simulate.traces.trace import TracedJob


def work_of(asked: float, workers: int = 4) -> JobWork:
    request = Request(workers=workers, min_workers=1, devices=1)
    job = Job(id="a", name="a", tenant="t", user="u", request=request, submitted_s=0.0)
    return JobWork(traced=TracedJob(job=job, duration_s=asked), index=0, asked=asked)


def begin(work: JobWork, now: float, rate: float = 1.0, overhead_s: float = 0.0) -> None:
    work.begin(now, rate=rate, devices=4.0, num_workers=4, overhead_s=overhead_s)


def test_an_undisturbed_job_runs_as_long_as_it_takes() -> None:
    work = work_of(100.0)
    begin(work, 50.0)
    assert work.ends_s == 150
    segment = work.complete(150.0)
    assert (segment.held_s, segment.worked_s, segment.saved_s) == (100, 100, 100)
    assert work.lost == 0 and work.ends_s == math.inf


def test_a_faster_model_and_fewer_workers_change_the_time() -> None:
    assert rate_of(2.0, 4, 4, 1.0) == 2
    assert rate_of(1.0, 2, 4, 1.0) == 0.5
    assert rate_of(1.0, 2, 4, 0.5) == pytest.approx(math.sqrt(0.5))
    assert rate_of(1.0, 1, 4, 0.0) == 1


def test_a_job_that_loses_its_node_loses_what_it_did_since_it_saved_itself() -> None:
    work = work_of(1000.0)
    begin(work, 0.0)
    segment = work.end_abruptly(250.0, every_s=100.0)
    assert (segment.worked_s, segment.saved_s) == (250, 200)
    assert (work.done, work.lost) == (200, 50)
    begin(work, 300.0, overhead_s=60.0)
    assert work.ends_s == 300 + 60 + 800


def test_a_job_that_loses_its_node_while_it_restarts_loses_nothing() -> None:
    work = work_of(1000.0)
    begin(work, 0.0, overhead_s=60.0)
    assert work.end_abruptly(30.0, every_s=100.0).worked_s == 0
    assert (work.done, work.lost) == (0, 0)


def test_a_job_that_saves_itself_does_no_work_meanwhile() -> None:
    work = work_of(1000.0)
    begin(work, 0.0)
    work.stop_working(200.0)
    segment = work.end_in_order(220.0)
    assert (segment.held_s, segment.worked_s, work.done) == (220, 200, 200)


FATES = st.lists(
    st.tuples(
        st.sampled_from(["stop", "lose", "resize", "save"]),
        st.floats(0, 500),
        st.floats(0.1, 4),
        st.floats(0, 90),
        st.floats(0, 1000),
    ),
    max_size=20,
)


@given(asked=st.floats(1, 5000), fates=FATES, every_s=st.sampled_from([0.0, 50.0, 700.0]))
def test_work_done_is_work_asked_and_work_lost(
    asked: float, fates: list[tuple[str, float, float, float, float]], every_s: float
) -> None:
    work, now, worked = work_of(asked), 0.0, 0.0
    for fate, after_s, rate, overhead_s, waits_s in fates:
        begin(work, now, rate, overhead_s)
        if work.ends_s <= now + after_s:
            break
        now += after_s
        if fate == "save":
            work.stop_working(now)
            now += 20
        segment = work.end_abruptly(now, every_s) if fate == "lose" else work.end_in_order(now)
        worked += segment.worked_s * rate
        assert 0 <= segment.saved_s <= segment.worked_s <= segment.held_s + 1e-9
        assert worked == pytest.approx(work.done + work.lost)
        now += 0 if fate == "resize" else waits_s
    else:
        rate = 1.0
        begin(work, now, rate, 0.0)
    worked += work.complete(work.ends_s).worked_s * rate
    assert worked == pytest.approx(asked + work.lost)
    assert work.done == asked
