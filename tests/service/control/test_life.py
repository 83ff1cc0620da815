"""A real service with real processes: jobs outlive it, its queue survives `kill -9`, and no job is lost or run twice."""

import os
import signal
import time
from pathlib import Path

import pytest

from bedplate.app.wiring import local_engine
from tests.command_line import wait_until
from tests.service.control.live_service import LiveService, executions, gate, quick, submit, wait_phase


def all_cores(tmp_path: Path) -> int:
    engine = local_engine(tmp_path / "engine")
    try:
        return sum(node.num_cores for node in engine.resources())
    finally:
        engine.close()


def test_a_job_runs_and_its_run_is_there_for_ps(service: LiveService, tmp_path: Path) -> None:
    client = service.start()
    job = wait_phase(client, submit(client, quick()), "done")
    shown = service.command_line.call("ps", job["run_id"], "-o", "json").json["runs"][0]
    assert (shown["status"], shown["steps"][0]["status"]) == ("done", "done")
    kinds = [event["kind"] for event in client.events(job=job["id"])["events"]]
    assert kinds == ["job.submitted", "job.placed", "job.done"]


def test_a_killed_service_leaves_jobs_running_and_finds_them_again(service: LiveService, tmp_path: Path) -> None:
    client = service.start()
    job = submit(client, gate())
    run_id = wait_phase(client, job, "running")["run_id"] or wait_until(lambda: client.job(job)["run_id"], "its run")
    wait_until(lambda: executions(service, run_id), "its step")
    pid = service.runners()[job]
    service.kill()
    time.sleep(0.3)
    assert service.runners() == {job: pid}
    (left := service.command_line.state / "control" / "engine" / "left-by-the-killed-one").touch()
    client = service.start()
    assert not left.exists()
    service.open_gate(job)
    assert wait_phase(client, job, "done")["attempt"] == 1
    assert len(executions(service, run_id)) == 1


def test_a_job_that_ended_while_no_service_was_there_is_done(service: LiveService, tmp_path: Path) -> None:
    client = service.start()
    job = submit(client, gate())
    wait_phase(client, job, "running")
    service.kill()
    service.open_gate(job)
    wait_until(lambda: not service.runners(), "its end")
    assert wait_phase(service.start(), job, "done")["attempt"] == 1


@pytest.mark.parametrize("delay_s", [0.0, 0.1, 0.5])
def test_killed_at_any_moment_no_job_is_lost_and_none_runs_twice(service: LiveService, tmp_path: Path, delay_s: float) -> None:
    cores = all_cores(tmp_path)
    client = service.start()
    whole = {"cpus_per_worker": cores}
    jobs = [submit(client, gate(f"n{number}", whole)) for number in range(2)]
    time.sleep(delay_s)
    service.kill()
    client = service.start()
    for number, job in enumerate(jobs):
        wait_phase(client, job, "running")
        assert [client.job(other)["phase"] for other in jobs[number + 1 :]] == ["waiting"] * (1 - number)
        assert list(service.runners()) == [job]
        service.open_gate(job)
        run_id = wait_phase(client, job, "done")["run_id"]
        assert len(executions(service, run_id)) == 1


def test_a_clean_end_leaves_jobs_and_takes_the_address_away(service: LiveService, tmp_path: Path) -> None:
    client = service.start()
    job = submit(client, gate())
    wait_phase(client, job, "running")
    assert service.stop() == 0
    assert not (service.command_line.state / "control" / "service.json").exists()
    assert list(service.runners()) == [job]
    service.open_gate(job)
    assert wait_phase(service.start(), job, "done")["attempt"] == 1


def test_stop_jobs_ends_them_and_the_next_service_resumes_them(service: LiveService, tmp_path: Path) -> None:
    service.options = ("--stop-jobs",)
    client = service.start()
    job = submit(client, gate())
    run_id = wait_until(lambda: client.job(job)["run_id"], "its run")
    wait_until(lambda: executions(service, run_id), "its step")
    assert service.stop() == 0
    assert service.runners() == {}
    client = service.start()
    service.open_gate(job)
    ended = wait_phase(client, job, "done")
    assert (ended["run_id"], ended["attempt"]) == (run_id, 2)


def test_a_second_scheduler_on_one_state_is_refused_by_name(service: LiveService) -> None:
    service.start()
    assert service.process is not None
    second = service.command_line.call("up", "--port", 0, "-o", "json")
    assert second.code == 5
    assert "this state has a scheduler already" in second.err
    assert f"process {service.process.pid} on " in second.err


def test_a_cancelled_job_ends_and_its_places_are_free(service: LiveService, tmp_path: Path) -> None:
    client = service.start()
    job = submit(client, gate())
    wait_phase(client, job, "running")
    assert service.command_line.call("cancel", job, "-o", "json").json["status"] == "cancelled"
    assert service.runners() == {}
    assert {node["num_jobs"] for node in client.nodes()["nodes"]} == {0}


def test_a_deaf_job_is_killed_when_its_grace_is_over(service: LiveService, tmp_path: Path) -> None:
    client = service.start()
    job = submit(client, gate("deaf", {"grace": "100ms"}, deaf=True))
    run_id = wait_until(lambda: client.job(job)["run_id"], "its run")
    wait_until(lambda: executions(service, run_id), "its step")
    client.cancel(job)
    wait_phase(client, job, "cancelled")
    assert service.runners() == {}


def test_a_process_that_was_killed_is_started_again_and_resumes_its_run(service: LiveService, tmp_path: Path) -> None:
    client = service.start()
    job = submit(client, gate())
    run_id = wait_until(lambda: client.job(job)["run_id"], "its run")
    wait_until(lambda: executions(service, run_id), "its step")
    os.kill(service.runners()[job], signal.SIGKILL)
    wait_until(lambda: len(executions(service, run_id)) == 2, "its second attempt")
    service.open_gate(job)
    ended = wait_phase(client, job, "done")
    assert (ended["run_id"], ended["crashes"]) == (run_id, 1)


def test_higher_priority_takes_the_place_of_lower_which_resumes_afterwards(service: LiveService, tmp_path: Path) -> None:
    whole = {"cpus_per_worker": all_cores(tmp_path)}
    service.options = ("--scheduler-least-run", "0s")
    client = service.start()
    low = submit(client, gate("low", whole))
    run_id = wait_until(lambda: client.job(low)["run_id"], "its run")
    wait_until(lambda: executions(service, run_id), "its step")
    high = submit(client, gate("high", whole | {"priority": 50}))
    wait_phase(client, high, "running")
    assert client.job(low)["phase"] == "waiting"
    service.open_gate(high)
    service.open_gate(low)
    wait_phase(client, high, "done")
    assert wait_phase(client, low, "done")["run_id"] == run_id
    kinds = [event["kind"] for event in client.events(job=low)["events"]]
    assert kinds == ["job.submitted", "job.placed", "job.stopping", "job.requeued", "job.placed", "job.done"]


def test_run_submit_waits_for_the_job_and_has_its_exit_code(service: LiveService, tmp_path: Path) -> None:
    service.start()
    command_line = service.command_line
    file = command_line.write("version: 1\nname: ok\nsteps: {a: {use: test.write}}\n")
    done = command_line.call("run", file, "--submit", "-o", "json")
    assert (done.code, done.json["phase"]) == (0, "done")
    file = command_line.write("version: 1\nname: bad\nsteps: {a: {use: test.fail}}\n", "bad.yaml")
    assert command_line.call("run", file, "--submit").code != 0
