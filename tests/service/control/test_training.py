"""Training that is preempted saves first: it resumes from the checkpoint that memory held, and repeats nothing before that."""

from pathlib import Path
from typing import Any

from tests.command_line import wait_until
from tests.service.control.live_service import LiveService, gate, submit, wait_phase
from tests.service.control.test_life import all_cores
from tests.training_run import make_micro_model, make_shards

STEPS = 120
SEQUENCE, MICRO_BATCH, ACCUMULATE = 32, 2, 1


def training(folder: Path, cores: int) -> dict[str, Any]:
    """Many small steps on one worker that takes the whole machine; checkpoints every ten steps, in memory."""
    settings = {
        "use": "train",
        "model": str(make_micro_model(folder / "model")),
        "data": str(make_shards(folder / "data")),
        "tokens": STEPS * SEQUENCE * MICRO_BATCH * ACCUMULATE,
        "sequence": SEQUENCE,
        "micro_batch": MICRO_BATCH,
        "accumulate": ACCUMULATE,
        "precision": "fp32",
        "checkpoint": {"every": "10 steps", "in": "memory"},
        "evaluate": {"tokens": 0},
    }
    return {"version": 1, "name": "training", "needs": {"cpus_per_worker": cores}, "steps": {"train": settings}}


def test_a_preempted_training_resumes_from_its_last_checkpoint(service: LiveService, tmp_path: Path) -> None:
    cores = all_cores(tmp_path)
    service.options = ("--scheduler-least-run", "0s")
    client = service.start()
    job = submit(client, training(tmp_path, cores))
    run_id = wait_until(lambda: client.job(job)["run_id"], "its run")

    def events(kind: str) -> list[Any]:
        return list(service.command_line.call("events", run_id, "--kind", kind, "-o", "json").json["events"])

    wait_until(lambda: events("checkpoint.committed"), "its first checkpoint")
    urgent = submit(client, gate("urgent", {"cpus_per_worker": cores, "priority": 50}))
    wait_phase(client, urgent, "running")
    stopped = client.job(job)
    assert (stopped["phase"], stopped["attempt"]) == ("waiting", 1)
    last_saved = max(event["attributes"]["step"] for event in events("checkpoint.committed"))
    assert last_saved < STEPS, "it was preempted in the middle"
    service.open_gate(urgent)

    assert wait_phase(client, job, "done")["attempt"] == 2
    (resumed,) = events("train.resumed")
    assert resumed["attributes"]["store"] == "disk"
    assert resumed["attributes"]["step"] >= last_saved, "nothing before the last checkpoint is done again"
