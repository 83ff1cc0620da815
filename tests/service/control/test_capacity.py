"""Capacity that follows load, with real processes: load rises, elastic training shrinks, serving grows, and back."""

import os
from collections.abc import Iterator

import pytest

from bedplate.app.control.client import ControlClient
from bedplate.core.errors import NotFoundError, UsageError
from tests.command_line import CommandLine, wait_until
from tests.service.control.live_service import LiveService, gate, submit, wait_phase


@pytest.fixture
def service(command_line: CommandLine) -> Iterator[LiveService]:
    core = min(os.sched_getaffinity(0))
    cores = ",".join([str(core)] * 5)
    quick = ("--capacity-every", "100ms", "--scheduler-least-run", "0s")
    made = LiveService(command_line, "--engine", f"local://{cores}", *quick)
    try:
        yield made
    finally:
        made.close()


def workers(client: ControlClient, job: str) -> int:
    shown = client.job(job)
    return int(shown["workers"]) if shown["phase"] == "running" else 0


def test_training_shrinks_when_load_rises_and_grows_when_it_falls(service: LiveService) -> None:
    client = service.start()
    follow = {"per_replica": 10, "least": 1, "most": 3, "capacity": "reactive", "target": "100%", "hold": "1s", "every": "1s"}
    serve = submit(client, gate("serve", {"replicas": follow, "priority": 10, "kind": "inference"}))
    train = submit(client, gate("train", {"workers": {"want": 4, "min": 1}}))

    def stand(serving: int, training: int) -> bool:
        return (workers(client, serve), workers(client, train)) == (serving, training)

    wait_until(lambda: stand(1, 4), "both to run")
    client.report_load(serve, 25.0)
    wait_until(lambda: stand(3, 2), "serving to grow and training to shrink")
    assert client.job(serve)["why"].startswith("it wants 3 replicas (reactive): load 25")
    client.report_load(serve, 4.0)
    wait_until(lambda: stand(1, 4), "training to grow again")
    kinds = [event["kind"] for event in client.events(job=train)["events"]]
    assert "job.requeued" not in kinds and kinds.count("job.resized") == 2
    wanted = [
        event["attributes"]["replicas"]
        for event in client.events(job=serve)["events"]
        if event["kind"] == "capacity.retargeted"
    ]
    assert wanted == [3, 1]
    shown = service.command_line.call("queue", "-v")
    assert "it wants 1 replicas" in shown.out
    for job, error in ((train, UsageError), ("job-99", NotFoundError)):
        with pytest.raises(error):
            client.report_load(job, 1.0)
    for job in (serve, train):
        client.cancel(job)
    for job in (serve, train):
        wait_phase(client, job, "cancelled")
