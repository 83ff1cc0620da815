"""Answers to questions: what the scheduler is told, numbers by hand, and that better policies look better."""

from pathlib import Path
from typing import Any

import pytest

from bedplate.compute.simulate.replay.question import Estimates, JobsQuestion
from bedplate.compute.simulate.replay.simulate import JobsResult, simulate_jobs
from bedplate.compute.simulate.replay.summary import SIZE_CLASSES, distribution
from bedplate.core.errors import UsageError
from bedplate.core.reporter import NullReporter

HEADER = "id,submitted,duration,tenant,workers,devices,deadline\n"


def asked(folder: Path, rows: str, **question: Any) -> JobsResult:
    (folder / "jobs.csv").write_text(HEADER + rows)
    given = {"cluster": "1x4:A100", "policy": ("fifo",)} | question
    return simulate_jobs(JobsQuestion(jobs=str(folder / "jobs.csv"), **given), NullReporter())


def test_the_numbers_of_two_jobs_are_those_that_are_worked_out_by_hand(tmp_path: Path) -> None:
    result = asked(tmp_path, "a,0,100,one,1,4,+100\nb,50,100,two,1,2,+100\n").policies[0]
    assert result.makespan_s == 200
    assert (result.all_jobs.queueing_s.mean, result.all_jobs.completion_s.mean) == (25, 125)
    assert (result.by_tenant["two"].queueing_s.mean, result.by_tenant["two"].slowdown.mean) == (50, 1.5)
    assert result.allocation_frac == 1.0
    assert result.allocation_to_the_end_frac == pytest.approx((4 * 100 + 2 * 100) / (4 * 200))
    assert result.useful_frac == pytest.approx(1)
    assert (result.num_deadlines, result.num_deadlines_met) == (2, 1)
    assert set(result.by_size) == {"2-7"} and set(result.by_size) < set(SIZE_CLASSES)


def test_backfill_lets_small_jobs_pass_where_they_delay_nobody(tmp_path: Path) -> None:
    rows = "a,0,100,one,1,3,\nb,1,100,one,1,4,\nc,2,50,one,1,1,\n"
    fifo, backfill = asked(tmp_path, rows, policy=("fifo", "backfill"), estimates=Estimates.EXACT).policies
    assert (fifo.makespan_s, backfill.makespan_s) == (250, 200)
    assert backfill.all_jobs.queueing_s.mean == pytest.approx(99 / 3)


def test_jobs_arrive_as_fast_as_the_question_says(tmp_path: Path) -> None:
    result = asked(tmp_path, "a,0,10,one,1,4,\nb,1000,10,one,1,4,+30\n", arrival_rate=100.0).policies[0]
    assert result.makespan_s == 20
    assert (result.num_deadlines, result.num_deadlines_met) == (1, 1)


def test_a_slower_model_takes_longer_and_what_cannot_run_is_counted(tmp_path: Path) -> None:
    result = asked(tmp_path, "a,0,100,one,1,4,\nb,0,100,one,1,5,\n", speeds="A100=0.5").policies[0]
    assert result.makespan_s == 200
    assert (result.num_refused, result.num_never_run, result.all_jobs.num_completed) == (1, 0, 1)
    assert sum(result.refusals.values()) == 1


def test_shares_of_nothing_are_none(tmp_path: Path) -> None:
    at_once = asked(tmp_path, "a,0,100,one,1,4,\nb,0,100,one,1,4,\n").policies[0]
    assert (at_once.allocation_frac, at_once.allocation_to_the_end_frac) == (None, 1.0), "no time passed while jobs arrived"
    nothing = asked(tmp_path, "a,0,100,one,1,5,\n").policies[0]
    assert nothing.num_refused == 1
    document = nothing.as_json()
    assert {document[key] for key in ("allocation_to_the_end_frac", "useful_frac", "utilisation_frac")} == {None}


def test_failing_nodes_cost_work_and_restarts() -> None:
    question = JobsQuestion(
        generate="jobs=40,seed=1,failed=0,cancelled=0,median=3h,spread=0.5",
        cluster="3x8:A100",
        policy=("fair",),
        mtbf=86_400.0,
        repair=3_600.0,
    )
    result = simulate_jobs(question, NullReporter()).policies[0]
    assert result.all_jobs.num_completed == 40
    assert result.num_node_losses > 0 and result.lost_device_s > 0 and result.overhead_device_s > 0
    assert result.useful_frac is not None and 0.5 < result.useful_frac < 1
    assert min(result.usable.value) < 24


def test_a_distribution_leaves_out_what_is_not_there() -> None:
    import numpy as np

    found = distribution(np.array([1.0, np.nan, 3.0]))
    assert (found.count, found.mean, found.p50) == (2, 2, 2)
    assert distribution(np.array([np.nan])).mean is None


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ({}, "jobs or generate"),
        ({"generate": "", "cluster": "1x1:A", "format": "helios"}, "generated trace has no format"),
        ({"generate": "", "cluster": "1x1:A", "policy": ("fair", "fair")}, "each once"),
        ({"generate": "", "cluster": "1x1:A", "policy": ("fair+age",)}, ""),
        ({"generate": "", "cluster": "1x1:A", "policy": ("fifo+age",)}, "a policy by itself"),
        ({"generate": "", "cluster": "1x1:A", "policy": ("fair/",)}, "QUEUE or QUEUE/PLACEMENT"),
        ({"generate": "", "cluster": "1x1:A", "weights": "a=1,a=2"}, "weights"),
        ({"generate": "", "cluster": "1x1:A", "device_memory": "A=big"}, "device memory"),
    ],
)
def test_questions_that_cannot_be_meant_are_refused(given: dict[str, Any], seen: str) -> None:
    if not seen:
        JobsQuestion(**given)
        return
    with pytest.raises(UsageError, match=seen):
        JobsQuestion(**given)
