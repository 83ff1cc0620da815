"""A job's way through the service: it waits, is placed, runs, ends; and what happens when a service or a node goes away."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from bedplate.app.control.scheduling.endings import MAX_CRASHES
from bedplate.app.control.scheduling.requests import Terms, placed_from_json
from bedplate.compute.scheduler.job import Request
from bedplate.core.errors import UnavailableError
from bedplate.state.database.tables import tenants
from bedplate.state.job_records import Phase, TenantRecord
from tests.app.control.service_under_test import ServiceUnderTest, node

TWO = Request(workers=2, min_workers=2)
ALL = Request(workers=4, min_workers=4)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ServiceUnderTest]:
    made = ServiceUnderTest(tmp_path, node("a"), node("b"))
    yield made
    made.state.close()


def test_a_job_is_placed_runs_and_is_done(service: ServiceUnderTest) -> None:
    job = service.submit()
    assert service.phase(job) is Phase.WAITING
    service.step()
    assert service.phase(job) is Phase.STARTING
    assert service.launcher.come_up(job)
    service.step()
    assert service.phase(job) is Phase.RUNNING
    service.launcher.end(job)
    service.step()
    assert service.phase(job) is Phase.DONE
    assert service.kinds(job) == ["job.placed", "job.done"]


def test_jobs_get_different_cores(service: ServiceUnderTest) -> None:
    jobs = [service.start() for _ in range(4)]
    held = [(part.node, core) for job in jobs for part in service.launcher.placed[job].nodes for core in part.cores]
    assert sorted(held) == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]


def test_what_a_job_held_is_given_to_the_next(service: ServiceUnderTest) -> None:
    first, second = service.start(ALL), service.submit(ALL)
    service.step()
    assert service.phase(second) is Phase.WAITING
    service.launcher.end(first)
    service.step()
    assert service.phase(second) is Phase.STARTING


def test_a_failed_job_keeps_its_error(service: ServiceUnderTest) -> None:
    job = service.start()
    service.launcher.end(job, Phase.FAILED)
    service.step()
    assert service.phase(job) is Phase.FAILED
    assert service.kinds(job)[-1] == "job.failed"


def test_a_waiting_job_is_cancelled_at_once(service: ServiceUnderTest) -> None:
    service.start(ALL)
    job = service.submit(ALL)
    service.step()
    service.state.jobs.request_cancel(job, "alice")
    service.step()
    assert (service.phase(job), service.job(job).cancelled_by) == (Phase.CANCELLED, "alice")


def test_a_running_job_is_asked_and_then_killed(service: ServiceUnderTest) -> None:
    job = service.start(terms=Terms(grace_s=10.0))
    service.state.jobs.request_cancel(job, "alice")
    service.step()
    assert (service.phase(job), service.launcher.asked) == (Phase.STOPPING, [job])
    service.step(5.0)
    assert service.launcher.killed == []
    service.step(20.0)
    assert service.launcher.killed == [job]
    service.step()
    assert service.phase(job) is Phase.CANCELLED


def test_a_job_that_is_done_before_its_cancellation_arrives_is_done(service: ServiceUnderTest) -> None:
    job = service.start()
    service.launcher.end(job)
    service.state.jobs.request_cancel(job, "alice")
    service.step()
    assert service.phase(job) is Phase.DONE


def test_a_process_that_ends_without_a_word_is_started_again_a_few_times(service: ServiceUnderTest) -> None:
    job = service.start()
    for _ in range(MAX_CRASHES - 1):
        service.launcher.vanish(job)
        service.step()
        assert service.phase(job) is Phase.WAITING
        service.step(60.0)
        assert service.launcher.come_up(job)
    service.launcher.vanish(job)
    service.step()
    assert service.phase(job) is Phase.FAILED
    assert "without recording a result" in str(service.job(job).error)


def test_a_node_that_dies_takes_its_gang_with_it_and_the_gang_is_placed_again_as_a_whole(service: ServiceUnderTest) -> None:
    service.nodes["c"] = node("c")
    job = service.start(ALL)
    first = {part.node for part in service.launcher.placed[job].nodes}
    lost = min(first)
    del service.nodes[lost]
    service.step()
    assert (service.phase(job), service.launcher.asked) == (Phase.STOPPING, [job])
    service.step()
    assert service.launcher.launched == [(job, 1)], "nothing is placed twice"
    service.launcher.end(job, Phase.CANCELLED)
    service.step()
    assert service.launcher.launched == [(job, 1), (job, 2)]
    assert {part.node for part in service.launcher.placed[job].nodes} == {"a", "b", "c"} - {lost}
    assert service.kinds(job) == ["job.placed", "job.stopping", "job.requeued", "job.placed"]


def test_a_job_that_fails_of_a_lost_node_before_the_service_notices_is_placed_again(service: ServiceUnderTest) -> None:
    job = service.start(TWO)
    service.launcher.end(job, Phase.FAILED, has_lost_node=True)
    service.step()
    assert service.phase(job) in (Phase.WAITING, Phase.STARTING)


def test_nothing_is_placed_on_a_dead_node_until_it_returns(service: ServiceUnderTest) -> None:
    dead = service.nodes.pop("b")
    jobs = [service.submit() for _ in range(4)]
    service.step()
    assert [service.phase(job) for job in jobs] == [Phase.STARTING] * 2 + [Phase.WAITING] * 2
    assert all(part.node == "a" for placed in service.launcher.placed.values() for part in placed.nodes)
    service.nodes["b"] = dead
    service.step()
    assert {service.phase(job) for job in jobs} == {Phase.STARTING}


def test_a_node_that_is_back_at_once_is_used_when_its_old_jobs_have_ended(tmp_path: Path) -> None:
    service = ServiceUnderTest(tmp_path, node("a", cards=("H100",)))
    old = service.start(Request(devices=1), terms=Terms(grace_s=10.0))
    there = service.nodes.pop("a")
    service.step()
    service.nodes["a"] = there
    new = service.submit(Request(devices=1))
    service.step()
    service.step()
    assert (service.phase(old), service.phase(new)) == (Phase.STOPPING, Phase.WAITING), "both would have one device"
    service.launcher.end(old, Phase.CANCELLED)
    service.step()
    service.step()
    assert sorted((service.phase(old), service.phase(new))) == [Phase.STARTING, Phase.WAITING]
    service.state.close()


def test_a_service_that_comes_again_does_not_use_a_node_twice_either(tmp_path: Path) -> None:
    service = ServiceUnderTest(tmp_path, node("a", cards=("H100",)))
    old = service.start(Request(devices=1), terms=Terms(grace_s=10.0))
    there = service.nodes.pop("a")
    service.restart()
    service.step()
    service.nodes["a"] = there
    new = service.submit(Request(devices=1))
    service.step()
    assert (service.phase(old), service.phase(new)) == (Phase.STOPPING, Phase.WAITING)
    service.state.close()


def test_a_node_with_fewer_accelerators_than_before_the_restart_ends_the_jobs_that_had_them(tmp_path: Path) -> None:
    service = ServiceUnderTest(tmp_path, node("a", cards=("H100", "H100")))
    job = service.start(Request(devices=2))
    service.nodes["a"] = node("a", cards=("H100",))
    service.restart()
    service.step()
    assert (service.phase(job), service.launcher.asked) == (Phase.STOPPING, [job])
    service.state.close()


def test_other_labels_of_a_node_end_nobody_and_count_for_the_next(service: ServiceUnderTest) -> None:
    running = service.start()
    again = service.submit(Request(labels={"rack": "r7"}))
    service.step()
    assert service.phase(again) is Phase.WAITING
    service.nodes["a"] = node("a", labels={"rack": "r6"})
    service.nodes["b"] = node("b", labels={"rack": "r7"})
    service.step()
    assert (service.phase(running), service.launcher.asked) == (Phase.RUNNING, [])
    assert [part.node for part in service.launcher.placed[again].nodes] == ["b"]


def test_a_drained_node_keeps_its_jobs_and_gets_no_new_ones(service: ServiceUnderTest) -> None:
    running = service.start(ALL)
    service.state.drains.add("b", "a fan is loud", "ops")
    service.step()
    assert service.phase(running) is Phase.RUNNING
    service.launcher.end(running)
    jobs = [service.submit() for _ in range(3)]
    service.step()
    assert [service.phase(job) for job in jobs] == [Phase.STARTING, Phase.STARTING, Phase.WAITING]
    service.state.drains.remove("b")
    service.step()
    assert service.phase(jobs[2]) is Phase.STARTING


class TestRestart:
    """A service that is killed at any moment loses no job, and places none twice."""

    def test_the_queue_survives(self, service: ServiceUnderTest) -> None:
        jobs = [service.submit(ALL) for _ in range(3)]
        service.step()
        service.restart()
        service.step()
        assert [service.phase(job) for job in jobs] == [Phase.STARTING, Phase.WAITING, Phase.WAITING]

    def test_running_jobs_are_adopted_with_their_places(self, service: ServiceUnderTest) -> None:
        job = service.start(ALL)
        service.restart()
        waiting = service.submit()
        service.step()
        assert (service.phase(job), service.phase(waiting)) == (Phase.RUNNING, Phase.WAITING)
        assert service.launcher.launched == [(job, 1)]
        service.launcher.end(job)
        service.step()
        assert (service.phase(job), service.phase(waiting)) == (Phase.DONE, Phase.STARTING)

    def test_a_job_that_ended_meanwhile_is_done(self, service: ServiceUnderTest) -> None:
        job = service.start()
        service.launcher.end(job)
        service.restart()
        service.step()
        assert service.phase(job) is Phase.DONE

    def test_a_start_that_was_written_and_not_done_is_done_by_a_later_attempt(self, service: ServiceUnderTest) -> None:
        job = service.submit()
        service.step()
        service.launcher.vanish(job)  # as if killed between the commit and the launch
        service.restart()
        service.step()
        assert service.launcher.launched[-1] == (job, 2)
        assert not service.state.jobs.claim_start(job, 1, {}), "a late process of the first attempt is not wanted"
        assert service.launcher.come_up(job)

    def test_a_process_that_came_up_is_not_started_again(self, service: ServiceUnderTest) -> None:
        job = service.submit()
        service.step()
        service.restart()  # its process is there, and has not said so yet
        service.step()
        assert service.launcher.launched == [(job, 1)]
        assert service.launcher.come_up(job)

    def test_a_stop_that_was_written_and_not_done_is_done(self, service: ServiceUnderTest) -> None:
        job = service.start()
        service.state.jobs.request_cancel(job, "alice")
        service.step()
        service.launcher.asked.clear()
        service.restart()
        service.step()
        assert service.launcher.asked == [job]

    def test_a_node_that_was_lost_meanwhile_takes_its_gang_with_it(self, service: ServiceUnderTest) -> None:
        service.nodes["c"] = node("c")
        job = service.start(ALL)
        lost = service.launcher.placed[job].nodes[0].node
        del service.nodes[lost]
        service.restart()
        service.step()
        service.launcher.end(job, Phase.CANCELLED)
        service.step()
        service.step()
        assert service.launcher.launched == [(job, 1), (job, 2)]
        assert lost not in {part.node for part in service.launcher.placed[job].nodes}


class TestAQuotaThatCannotBeRead:
    """Written by hand, or by a version before."""

    @pytest.mark.parametrize("guaranteed", [{"H100": "Infinity"}, {"H100": -1}, {"H100": None}, 7])
    def test_does_not_stop_the_others(self, service: ServiceUnderTest, guaranteed: object) -> None:
        service.state.tenants.set(TenantRecord(name="good", guaranteed={"cpu": 1}))
        bad = TenantRecord(name="bad")
        service.step()
        service.state.tenants.set(bad)
        with service.state.tenants._database.writing() as connection:
            connection.execute(update(tenants).where(tenants.c.name == "bad").values(guaranteed=guaranteed))
        for _ in range(2):
            job = service.submit(tenant="bad")
            service.step()
            assert service.phase(job) is Phase.STARTING
            with service.controller.book() as book:
                assert [(name, name in str(error)) for name, error in book.unreadable.items()] == [("bad", True)]
                assert "good" in book.scheduler.ledger.tenants
            service.restart()
        service.state.tenants.set(bad)
        service.step()
        with service.controller.book() as book:
            assert book.unreadable == {}


def test_who_lost_the_lock_decides_nothing(service: ServiceUnderTest) -> None:
    job = service.submit()
    service.is_sole = False
    with pytest.raises(UnavailableError, match="another scheduler"):
        service.step()
    assert service.phase(job) is Phase.WAITING
    assert service.launcher.launched == []


def test_what_could_not_be_written_was_not_done(service: ServiceUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    job = service.submit()

    def refuse(*_: object) -> None:
        raise UnavailableError("the disk is full", next_step="free some")

    with monkeypatch.context() as patch:
        patch.setattr(service.state.jobs, "change", refuse)
        with pytest.raises(UnavailableError):
            service.step()
    assert (service.phase(job), service.launcher.launched) == (Phase.WAITING, [])
    service.step()
    assert service.launcher.launched == [(job, 1)]


def test_accelerators_are_given_by_model_and_id(tmp_path: Path) -> None:
    service = ServiceUnderTest(tmp_path, node("a", 4, ("H100", "H100")), node("b", 4, ("910B", "910B")))
    job = service.start(Request(workers=2, devices=1, accelerators=("910B",)))
    (part,) = placed_from_json(service.job(job).allocation or {}).nodes
    assert (part.node, part.devices, len(part.cores)) == ("b", ("gpu:0", "gpu:1"), 2)
    service.state.close()
