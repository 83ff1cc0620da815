"""A service beside elastic training under a daily load: what each mode of capacity costs, delivers, and leaves to training."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from bedplate.compute.capacity.following import CapacityMode, Following
from bedplate.compute.forecast.series import DemandSeries
from bedplate.compute.scheduler.job import Job, Request
from bedplate.compute.simulate.replay.cluster import machines
from bedplate.compute.simulate.replay.question import JobsQuestion
from bedplate.compute.simulate.serving.question import ServingLoad, ServingQuestion
from bedplate.compute.simulate.serving.simulate import ModeResult, simulate_load
from bedplate.compute.simulate.traces.shorthand import read_cluster
from bedplate.compute.simulate.traces.trace import Trace, TracedJob

CLUSTER = "4x8:A100"
STEP_S, DAY, DAYS = 1800.0, 48, 2
START_S = 1200.0


def daily_load(days: int, seed: int = 0) -> DemandSeries:
    """A steep daily peak of 24 replicas, with noise; nights need two or three."""
    of_day = np.arange(days * DAY) % DAY / DAY
    values = 2.5 + 20 * np.exp(-((of_day - 0.6) ** 2) / 0.005)
    values = values * (1 + 0.05 * np.random.default_rng(seed).standard_normal(len(values)))
    return DemandSeries(name="load", start_s=0.0, step_s=STEP_S, values=values, latest=values)


def training(workers: int = 32, fewest: int = 2) -> Trace:
    """One gang that would take the whole cluster for longer than is simulated."""
    request = Request(workers=workers, min_workers=fewest, devices=1, cpu_milli=0)
    job = Job(id="train", name="train", tenant="research", user="u", request=request, submitted_s=0.0)
    traced = TracedJob(job=job, duration_s=30 * 86_400.0)
    return Trace(source="test", format="test", jobs=(traced,), left_out={}, examples={})


@cache
def results() -> dict[CapacityMode, ModeResult]:
    follow = Following(per_replica=1.0, start=START_S, least=2, most=28, every=STEP_S)
    question = ServingQuestion(serving=ServingLoad(load=__file__, column="load", days=float(DAYS), follow=follow))
    jobs = JobsQuestion(generate="jobs=1", cluster=CLUSTER, policy=("default",))
    nodes = machines(read_cluster(CLUSTER), 32)
    answer = simulate_load(question, jobs, daily_load(9 + DAYS), training(), nodes, 32)
    return {mode.mode: mode for mode in answer.modes}


def test_a_forecast_serves_more_than_reaction_and_leaves_more_to_training() -> None:
    static, reactive, forecast = (results()[mode] for mode in CapacityMode)
    assert static.served_frac == 1.0
    assert forecast.forecast_frac > 0.9, "it followed the forecast"
    assert forecast.served_frac > reactive.served_frac
    assert forecast.serving_device_hours < reactive.serving_device_hours < static.serving_device_hours
    assert forecast.training_device_hours > reactive.training_device_hours > static.training_device_hours


def test_device_time_adds_up() -> None:
    for mode in results().values():
        whole = DAYS * 24 * 32.0
        training_h = (mode.training.useful_device_s + mode.training.lost_device_s + mode.training.overhead_device_s) / 3600
        assert mode.serving.elapsed_s == pytest.approx(DAYS * 86_400)
        assert training_h + mode.serving_device_hours <= whole * (1 + 1e-9)
        assert training_h + mode.serving_device_hours > 0.98 * whole, "what serving leaves, training takes"


def test_training_shrinks_before_the_peak_and_is_not_preempted_in_it() -> None:
    forecast = results()[CapacityMode.FORECAST]
    assert forecast.training.num_preemptions == 0 and forecast.training.lost_device_s == 0
    values = daily_load(9 + DAYS).values[-DAYS * DAY :]
    for day in range(DAYS):
        rises_s = STEP_S * (day * DAY + int(np.argmax(values[day * DAY :] > 12)))
        assert size_at(forecast, rises_s - START_S) <= 32 - 12, "replicas that serve then must start now"
        assert size_at(results()[CapacityMode.REACTIVE], rises_s - START_S) > 32 - 12
        assert size_at(forecast, (day + 0.95) * 86_400) > 24, "it grows after the peak"


def size_at(result: ModeResult, at_s: float) -> int:
    """Workers of the gang."""
    return next((size for since_s, _, size in reversed(result.training.resized_s) if since_s <= at_s), 32)


def test_quota_is_lent_at_night_and_back_before_the_peak() -> None:
    behaviour = results()[CapacityMode.FORECAST].behaviour
    assert behaviour.loans
    wanted = {at_s: count for at_s, count, _ in behaviour.targets}
    kept = lent = 0.0
    for made_s, loan in behaviour.loans:
        assert loan.until_s > made_s and 0 < loan.amount <= 28
        during = [count for at_s, count in wanted.items() if made_s <= at_s < loan.until_s]
        kept += loan.amount * sum(count <= 28 - loan.amount for count in during)
        lent += loan.amount * len(during)
    assert kept > 0.9 * lent, "what was lent was not needed"


def test_a_service_that_loses_a_node_starts_again_elsewhere() -> None:
    follow = Following(per_replica=1.0, start=START_S, least=2, most=24, every=STEP_S, lend=0.0)
    question = ServingQuestion(
        serving=ServingLoad(load=__file__, column="load", days=2.0, follow=follow), capacity=(CapacityMode.REACTIVE,)
    )
    jobs = JobsQuestion(generate="jobs=1", cluster=CLUSTER, policy=("default",), mtbf=43_200.0, repair=3_600.0)
    nodes = machines(read_cluster(CLUSTER), 32)
    (failing,) = simulate_load(question, jobs, daily_load(3), training(), nodes, 32).modes
    assert failing.serving.elapsed_s == pytest.approx(2 * 86_400)
    assert 0.5 < failing.served_frac < 0.95 and failing.serving.num_starts > 60
    whole = DAYS * 24 * 32.0
    training_h = (failing.training.useful_device_s + failing.training.lost_device_s + failing.training.overhead_device_s) / 3600
    assert training_h + failing.serving_device_hours <= whole
