"""The replay under the scheduler's own `decide`: times by hand where they can be had, books that balance where they cannot."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate.compute.scheduler.job import WHOLE, Job, Request, WorkerPlace
from bedplate.compute.scheduler.settings import SchedulerSettings
from bedplate.compute.scheduler.state import SchedulerState
from bedplate.compute.scheduler.tenants import DeviceType
from bedplate.compute.simulate.replay.cluster import machines
from bedplate.compute.simulate.replay.conditions import Conditions
from bedplate.compute.simulate.replay.loop import Replay
from bedplate.compute.simulate.replay.observing import Left
from bedplate.compute.simulate.replay.policies import scheduler_settings
from bedplate.compute.simulate.replay.work import JobWork, Segment
from bedplate.compute.simulate.traces.generate import generate, read_words
from bedplate.compute.simulate.traces.shorthand import read_cluster
from bedplate.compute.simulate.traces.trace import Trace, TracedJob


@dataclass(slots=True)
class Diary:
    """An observer that writes everything down, and keeps count of what is held."""

    lines: list[tuple[float, str, str]] = field(default_factory=list)
    held: dict[tuple[str, int], int] = field(default_factory=dict)
    """Thousandths of each device, by node and position."""
    done: dict[str, float] = field(default_factory=dict)
    """Work of each job that was kept, in seconds."""
    asked: dict[str, float] = field(default_factory=dict)
    rate: dict[str, float] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)

    def submitted(self, work: JobWork, now: float) -> None:
        self.lines.append((now, "submitted", work.traced.job.id))
        self.asked[work.traced.job.id] = work.asked

    def began(self, work: JobWork, places: Sequence[WorkerPlace], now: float) -> None:
        self.lines.append((now, "began", work.traced.job.id))
        self.rate[work.traced.job.id] = work.rate
        self._hold(work, places, 1)
        assert not self.down & {place.node for place in places}

    def left(self, work: JobWork, places: Sequence[WorkerPlace], now: float, why: Left, segment: Segment) -> None:
        job = work.traced.job
        self.lines.append((now, why.value, job.id))
        self._hold(work, places, -1)
        self.done[job.id] = self.done.get(job.id, 0.0) + segment.saved_s * self.rate[job.id]

    def refused(self, work: JobWork, now: float, reason: str) -> None:
        self.lines.append((now, "refused", work.traced.job.id))

    def capacity_changed(self, node: str, is_up: bool, now: float) -> None:
        self.lines.append((now, "up" if is_up else "down", node))
        self.down ^= {node}

    def decided(self, now: float, num_waiting: int) -> None:
        pass

    def _hold(self, work: JobWork, places: Sequence[WorkerPlace], sign: int) -> None:
        for place in places:
            for device in place.devices:
                key = (place.node, device)
                self.held[key] = self.held.get(key, 0) + sign * work.traced.job.request.share_milli
                assert 0 <= self.held[key] <= WHOLE

    def of(self, job: str) -> list[tuple[float, str]]:
        return [(at, what) for at, what, who in self.lines if who == job]


def job(name: str, at_s: float, duration_s: float, devices: int = 1, workers: int = 1, **fields: object) -> TracedJob:
    about = {key: fields.pop(key) for key in ("min_workers", "accelerators") if key in fields}
    request = Request(workers=workers, devices=devices, cpu_milli=0, **about)  # type: ignore[arg-type]
    given = {"name": name, "tenant": "t", "user": "u", "expected_s": duration_s} | fields
    return TracedJob(job=Job(id=name, request=request, submitted_s=at_s, **given), duration_s=duration_s)  # type: ignore[arg-type]


def trace_of(*jobs: TracedJob) -> Trace:
    return Trace(source="test", format="test", jobs=jobs, left_out={}, examples={})


def replayed(
    trace: Trace,
    cluster: str = "1x4:A100",
    policy: str = "default",
    types: Sequence[DeviceType] = (),
    base: SchedulerSettings | None = None,
    **conditions: float,
) -> tuple[Diary, float]:
    nodes = machines(read_cluster(cluster), 32)
    state = SchedulerState(nodes, types, settings=scheduler_settings(policy, base or SchedulerSettings()))
    diary = Diary()
    ended_s = Replay(trace, nodes, state, Conditions(**conditions), [diary]).run()  # type: ignore[arg-type]
    return diary, ended_s


def test_jobs_run_one_after_the_other_where_only_one_fits() -> None:
    diary, ended_s = replayed(trace_of(job("a", 0, 100, devices=4), job("b", 10, 50, devices=4)))
    assert diary.of("a") == [(0, "submitted"), (0, "began"), (100, "complete")]
    assert diary.of("b") == [(10, "submitted"), (100, "began"), (150, "complete")]
    assert ended_s == 150


def test_jobs_that_fit_together_run_together() -> None:
    diary, ended_s = replayed(trace_of(*(job(name, 0, 100) for name in "abcd")))
    assert ended_s == 100
    assert sum(what == "began" for at, what, _ in diary.lines if at == 0) == 4


def test_a_job_that_takes_no_time_ends_at_once() -> None:
    diary, _ = replayed(trace_of(job("a", 5, 0)))
    assert diary.of("a") == [(5, "submitted"), (5, "began"), (5, "complete")]


def test_a_job_that_nothing_can_run_is_refused() -> None:
    diary, _ = replayed(trace_of(job("a", 0, 100, devices=5)))
    assert diary.of("a") == [(0, "submitted"), (0, "refused")]


def test_a_faster_model_does_the_same_work_in_less_time() -> None:
    types = [DeviceType(model="H100", speed={"training": 4.0}), DeviceType(model="V100", speed={"training": 0.5})]
    both = "1x1:H100,1x1:V100"
    diary, _ = replayed(trace_of(job("a", 0, 100), job("b", 0, 100)), both, types=types)
    assert sorted(at for at, what, _ in diary.lines if what == "complete") == [25, 200]
    recorded_on_it = job("a", 0, 100, accelerators=("H100",))
    assert replayed(trace_of(recorded_on_it), both, types=types)[1] == 100


def test_a_preempted_job_saves_itself_waits_and_resumes_where_it_was() -> None:
    trace = trace_of(job("low", 0, 10_000, devices=4), job("high", 1_000, 100, devices=4, priority=10))
    base = SchedulerSettings(backoff=5_000.0)
    diary, ended_s = replayed(trace, base=base, checkpoint_takes_s=20.0, restart_s=60.0)
    assert diary.of("high") == [(1_000, "submitted"), (1_020, "began"), (1_120, "complete")]
    assert diary.of("low")[2:4] == [(1_020, "preempted"), (6_020, "began")], "it may start again though nothing else happens"
    assert ended_s == 6_020 + 60 + 9_000


def test_a_preempted_job_whose_grace_is_too_short_loses_what_it_did_since_it_saved_itself() -> None:
    trace = trace_of(job("low", 0, 10_000, devices=4, grace_s=5.0), job("high", 1_000, 100, devices=4, priority=10))
    diary, ended_s = replayed(trace, checkpoint_takes_s=20.0, checkpoint_every_s=300.0, restart_s=60.0)
    assert diary.of("low")[2][0] == 1_005
    assert diary.done["low"] == pytest.approx(10_000)
    assert ended_s == 1_105 + 60 + 10_000 - 900


def test_an_elastic_job_starts_small_and_grows_when_there_is_room() -> None:
    trace = trace_of(job("a", 0, 1_000, devices=2), job("b", 0, 1_000, workers=4, min_workers=1))
    diary, ended_s = replayed(trace, restart_s=0.0, policy="fifo")
    assert (1_000.0, "resized") in diary.of("b")
    assert diary.done["b"] == pytest.approx(1_000)
    assert ended_s == pytest.approx(1_000 + (1_000 - 1_000 * 2 / 4))


def test_decisions_are_no_oftener_than_the_period() -> None:
    diary, _ = replayed(trace_of(job("a", 0, 10), job("b", 1, 10), job("c", 2, 10)), period_s=60.0)
    assert [at for at, what, _ in diary.lines if what == "began"] == [0, 60, 60]
    assert diary.of("a")[-1] == (10, "complete"), "the world goes on meanwhile"


def test_a_node_that_fails_takes_its_jobs_with_it_and_they_resume_where_they_saved_themselves() -> None:
    trace = trace_of(job("a", 0, 10_000, devices=4))
    diary, ended_s = replayed(trace, mtbf_s=3_000.0, repair_s=500.0, checkpoint_every_s=1_000.0, restart_s=100.0, seed=1)
    downs = [at for at, what, _ in diary.lines if what == "down" and at < ended_s]
    assert downs and diary.of("a")[-1][1] == "complete"
    assert diary.done["a"] == pytest.approx(10_000)
    first = downs[0]
    up = next(at for at, what, _ in diary.lines if what == "up")
    assert (first, "node lost") in diary.of("a") and (up, "began") in diary.of("a")


def test_failures_are_the_same_whatever_the_scheduler_does() -> None:
    trace = generate(read_words("jobs=200,seed=4,failed=0,cancelled=0"), read_cluster("3x8:A100"))
    runs = [replayed(trace, "3x8:A100", policy, mtbf_s=40_000.0)[0] for policy in ("fifo", "fair")]
    one, other = ([(at, who) for at, what, who in diary.lines if what == "down"] for diary in runs)
    shared = min(len(one), len(other))
    assert shared > 1 and one[:shared] == other[:shared]


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    policy=st.sampled_from(["fifo", "backfill", "shortest", "priority", "fair", "default"]),
    mtbf_s=st.sampled_from([0.0, 50_000.0]),
    period_s=st.sampled_from([0.0, 30.0]),
)
def test_every_job_ends_with_the_work_that_it_asked_for(seed: int, policy: str, mtbf_s: float, period_s: float) -> None:
    cluster = "2x8:A100,2x4:V100"
    words = f"jobs=80,seed={seed},load=1.5,largest=16,elastic=1,important=0.3,tenants=3,median=30m"
    trace = generate(read_words(words), read_cluster(cluster))
    types = [DeviceType(model="A100", speed={"training": 2.0})]
    diary, _ = replayed(trace, cluster, policy, types, mtbf_s=mtbf_s, period_s=period_s, scaling=0.8)
    for traced in trace.jobs:
        name = traced.job.id
        assert diary.of(name)[-1][1] == "complete"
        assert diary.done[name] == pytest.approx(diary.asked[name], rel=1e-9, abs=1e-6)
    assert not any(diary.held.values())
    assert [at for at, *_ in diary.lines] == sorted(at for at, *_ in diary.lines)


def test_jobs_that_come_while_a_node_is_down_wait_for_its_repair() -> None:
    wide = [job(f"wide{at}", at * 500.0, 20, devices=8, workers=2) for at in range(40)]
    never = [job("never", 10_000.0, 20, devices=8, workers=3)]
    trace = trace_of(*sorted(wide + never, key=lambda item: item.job.submitted_s))
    diary, _ = replayed(trace, "2x8:A100", "fifo", mtbf_s=1500.0, repair_s=500.0)
    assert any(what == "down" for _, what, _ in diary.lines)
    assert [who for _, what, who in diary.lines if what == "refused"] == ["never"]
    assert sum(what == "complete" for _, what, _ in diary.lines) == len(wide)
