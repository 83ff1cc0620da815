"""Synthetic traces have the shape that was asked for, and survive a file."""

from pathlib import Path
from statistics import mean, median

import pytest

from bedplate.compute.scheduler.job import WHOLE
from bedplate.compute.simulate.traces.generate import generate, read_words
from bedplate.compute.simulate.traces.reading import read_trace
from bedplate.compute.simulate.traces.shorthand import read_cluster
from bedplate.compute.simulate.traces.trace import Outcome, Trace
from bedplate.compute.simulate.traces.writing import write_own
from bedplate.core.errors import ConfigurationError, UsageError

NODES = read_cluster("10x8:A100,5x4:V100")


def made(words: str) -> Trace:
    return generate(read_words(words), NODES)


def test_the_same_words_make_the_same_trace_and_another_seed_another() -> None:
    assert made("jobs=300,seed=1").jobs == made("jobs=300,seed=1").jobs
    assert made("jobs=300,seed=1").jobs != made("jobs=300,seed=2").jobs


def test_the_load_is_what_was_asked_for() -> None:
    trace = made("jobs=20k,load=0.8,spread=1")
    span_s = trace.jobs[-1].job.submitted_s
    assert sum(job.device_s for job in trace.jobs) / (100 * span_s) == pytest.approx(0.8, rel=0.02)


def test_durations_are_heavy_tailed_and_some_jobs_do_not_complete() -> None:
    trace = made("jobs=20k")
    durations = [job.duration_s for job in trace.jobs if job.outcome is Outcome.COMPLETED]
    assert median(durations) == pytest.approx(600, rel=0.1)
    assert mean(durations) > 3 * median(durations)
    assert mean(job.outcome is Outcome.FAILED for job in trace.jobs) == pytest.approx(0.2, abs=0.02)


def test_fewer_jobs_arrive_at_night() -> None:
    trace = made("jobs=20k,diurnal=0.8,weekend=0,spread=1,load=0.3")
    hours = [int(job.job.submitted_s // 3600) for job in trace.jobs if job.job.submitted_s < 86_400]
    night, noon = sum(hour % 24 in (23, 0, 1) for hour in hours), sum(hour % 24 in (11, 12, 13) for hour in hours)
    assert noon > 4 * night > 0


def test_gangs_shares_and_elastic_jobs_are_there_and_fit_the_nodes() -> None:
    requests = [job.job.request for job in made("jobs=5k,elastic=1").jobs]
    assert any(request.workers > 1 and request.devices == 8 for request in requests)
    assert any(request.is_elastic for request in requests)
    assert any(0 < request.share_milli < WHOLE for request in requests)
    assert any(request.devices == 0 for request in requests)
    assert max(request.devices for request in requests) <= 8


def test_a_trace_survives_our_own_format(tmp_path: Path) -> None:
    trace = made("jobs=500,elastic=1,bound=0.3,seed=5")
    write_own(trace, tmp_path / "jobs.csv")
    assert read_trace(tmp_path / "jobs.csv").jobs == trace.jobs


def test_words_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'jobs'"):
        read_words("job=3")
    with pytest.raises(UsageError, match="NAME=VALUE"):
        read_words("jobs=3,jobs=4")
    with pytest.raises(UsageError, match="more jobs fail"):
        read_words("failed=60%,cancelled=60%")
    with pytest.raises(UsageError, match="no devices"):
        generate(read_words(""), read_cluster("3x0:cpu:8"))


def test_clusters_in_words() -> None:
    nodes = read_cluster("2x8:A100, 1x0:cpu:64:256GiB")
    assert [(node.num_devices, node.model, node.cpu_milli, node.memory_mib) for node in nodes] == [
        (8, "A100", 128_000, 1 << 20),
        (8, "A100", 128_000, 1 << 20),
        (0, "none", 64_000, 256 << 10),
    ]
    assert len({node.name for node in nodes}) == 3


@pytest.mark.parametrize("words", ["", "8:A100", "2x0:cpu", "0x8:A100", "2x8:A100:many", "200000x1:A"])
def test_clusters_that_cannot_be_are_refused(words: str) -> None:
    with pytest.raises(UsageError):
        read_cluster(words)
