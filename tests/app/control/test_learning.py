"""The scheduler knows what devices can do, learns what jobs achieve and when they end, and knows it after a restart."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bedplate.app.control.requests import Terms
from bedplate.compute.scheduler.job import Request
from bedplate.compute.scheduler.why import why
from bedplate.core.devices import DECLARED, Device, Node
from bedplate.core.measurement import Measurement, Provenance
from bedplate.state.job_records import Phase
from bedplate.state.runs import NewRun
from tests.app.control.service_under_test import ServiceUnderTest, node

ON_H100 = Request(devices=1, accelerators=("H100 80GB HBM3",))
ON_A100 = Request(devices=1, accelerators=("A100-SXM4-80GB",))
FLOPS_PER_TOKEN = 6e9


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ServiceUnderTest]:
    made = ServiceUnderTest(
        tmp_path, node("a", cards=("A100-SXM4-80GB",)), node("h", cards=("H100 80GB HBM3",)), node("x", cards=("Nobody's 1",))
    )
    yield made
    made.state.close()


def speed(service: ServiceUnderTest, model: str, kind: str = "training") -> float:
    with service.controller.book() as book:
        return book.scheduler.catalog.speed_of(kind, model)


def run_of(service: ServiceUnderTest, job: str, *steps: str) -> str:
    """A run for a job that has started."""
    uses = dict.fromkeys(steps, "test.write")
    wanted = NewRun(name="r", key=f"{job:x<20}", file="", document={}, engine="local", version="0", step_uses=uses)
    run = service.state.runs.claim(wanted, new=True)
    service.state.jobs.set_run(job, service.job(job).attempt, run.id)
    return run.id


def trained(service: ServiceUnderTest, request: Request, tokens_per_s: float) -> None:
    """A job that trains from now on, and is done."""
    job = service.start(request)
    run = run_of(service, job, "train")
    samples = [
        {
            "subject_kind": "run",
            "subject_id": run,
            "run_id": run,
            "step": "train",
            "name": "train_tokens_per_s",
            "at_s": service.clock.now() + at,
            "value": tokens_per_s,
            "labels": {},
        }
        for at in range(5)
    ]
    service.state.append([], samples)
    flops = Measurement(id="train_flops_per_token", value=FLOPS_PER_TOKEN, unit="flops", provenance=Provenance.MEASURED)
    service.state.steps.start(run, "train")
    service.state.steps.finish(run, "train", seconds=5.0, result={}, measured=(flops,))
    service.clock.advance(10.0)
    service.launcher.end(job)
    service.step(10.0)
    assert service.phase(job) is Phase.DONE


def test_speeds_and_units_come_from_what_the_devices_can_do(service: ServiceUnderTest) -> None:
    assert speed(service, "A100-SXM4-80GB") == pytest.approx(1.0)
    assert speed(service, "H100 80GB HBM3") > 1.5
    with service.controller.book() as book:
        assert book.scheduler.catalog.units["H100 80GB HBM3"] == pytest.approx(speed(service, "H100 80GB HBM3"))


def test_what_nobody_knows_counts_as_one_and_is_not_called_known(service: ServiceUnderTest) -> None:
    with service.controller.book() as book:
        assert book.facts.speed("training", "Nobody's 1") == 1.0
        assert book.facts.speed_of("training", "Nobody's 1").value is None
        assert book.facts.speed_of("a load of my own", "H100 80GB HBM3").value is None


def test_the_faster_model_is_taken_first(service: ServiceUnderTest) -> None:
    job = service.start(Request(devices=1))
    assert service.launcher.placed[job].allocation.model == "H100 80GB HBM3"


def test_what_jobs_achieve_corrects_the_speeds_and_survives_a_restart(service: ServiceUnderTest) -> None:
    before = speed(service, "H100 80GB HBM3")
    for _ in range(4):
        trained(service, ON_A100, 1000.0)
        trained(service, ON_H100, 800.0)
    service.step(10.0)
    after = speed(service, "H100 80GB HBM3") / speed(service, "A100-SXM4-80GB")
    assert after < 0.8 * before
    with service.controller.book() as book:
        known = book.facts.speed_of("training", "H100 80GB HBM3")
    assert (known.provenance, known.samples) == (Provenance.MEASURED, 4)
    service.restart()
    service.step()
    assert speed(service, "H100 80GB HBM3") == pytest.approx(after)


@pytest.mark.parametrize("rate", [0.0, -1.0, 1e308])
def test_what_is_no_throughput_is_not_learnt(service: ServiceUnderTest, rate: float) -> None:
    trained(service, ON_A100, rate)
    assert service.state.speeds.all() == ()


def test_the_scheduler_is_told_once_of_a_change(service: ServiceUnderTest) -> None:
    with service.controller.book() as book:
        book.facts.speed("training", "H100 80GB HBM3")
        book.facts.observe("training", "A100-SXM4-80GB", 1000.0)
        assert not book.facts.have_changed(), "a model that ran alone is not moved"
        book.facts.observe("training", "H100 80GB HBM3", 10.0)
        assert book.facts.have_changed()
        book.facts.speed("training", "H100 80GB HBM3")
        assert not book.facts.have_changed()


def test_a_waiting_job_is_ranked_by_the_new_speeds(service: ServiceUnderTest) -> None:
    for _ in range(20):
        trained(service, ON_A100, 1000.0)
        trained(service, ON_H100, 100.0)
    service.step(10.0)
    job = service.start(Request(devices=1, accelerators=("H100 80GB HBM3", "A100-SXM4-80GB")))
    assert service.launcher.placed[job].allocation.model == "A100-SXM4-80GB"


def test_a_node_with_a_new_model_is_described_when_it_comes(service: ServiceUnderTest) -> None:
    service.step()
    job = service.submit(Request(devices=1, accelerators=("H200",), device_memory_bytes=100 * 10**9))
    declared = Device(id="gpu:0", kind="gpu", vendor=DECLARED, model="H200", memory_bytes=0)
    service.nodes["new"] = Node(id="new", devices=(*node("new").devices, declared), memory_bytes=2**34)
    service.step()
    assert service.phase(job) is Phase.STARTING
    assert speed(service, "H200") > 1.5


def test_a_model_is_found_however_it_is_written_even_if_its_node_comes_later(tmp_path: Path) -> None:
    made = ServiceUnderTest(tmp_path)
    job = made.submit(Request(devices=1, accelerators=("h100 80gb hbm3",)))
    made.step()
    made.nodes["h"] = node("h", cards=("H100 80GB HBM3",))
    made.step()
    assert made.launcher.placed[job].allocation.model == "H100 80GB HBM3"
    made.state.close()


def test_memory_of_a_declared_family_is_the_least_of_its_models(tmp_path: Path) -> None:
    declared = Device(id="gpu:0", kind="gpu", vendor=DECLARED, model="A100", memory_bytes=0)
    made = ServiceUnderTest(tmp_path, Node(id="a", devices=(*node("a").devices, declared), memory_bytes=2**34))
    with made.controller.book() as book:
        memory = book.facts.memory("A100")
    assert memory is not None
    assert (memory.value, memory.provenance) == (40 * 2**30, Provenance.PUBLISHED)
    fits = made.submit(Request(devices=1, device_memory_bytes=40 * 10**9))
    too_large = made.submit(Request(devices=1, device_memory_bytes=60 * 10**9))
    made.step()
    assert (made.phase(fits), made.phase(too_large)) == (Phase.STARTING, Phase.WAITING)
    made.state.close()


def test_the_scheduler_knows_when_a_job_ends_by_its_progress(tmp_path: Path) -> None:
    made = ServiceUnderTest(tmp_path, node("a"))
    job = made.start(Request(workers=2))
    run = run_of(made, job, "prepare", "train")
    waiting = made.submit(Request(workers=2), terms=Terms(expected_s=10.0))

    def earliest() -> float | None:
        with made.controller.book() as book:
            return why(book.scheduler, waiting, made.clock.now()).earliest_start_s

    made.state.steps.start(run, "prepare")
    made.state.steps.set_progress(run, "prepare", {"done": 9, "total": 10, "unit": "files"})
    made.step(10.0)
    made.step(10.0)
    vague = earliest()
    made.state.steps.finish(run, "prepare", seconds=20.0, result={}, measured=())
    made.state.steps.start(run, "train")
    made.state.steps.set_progress(run, "train", {"done": 100, "total": 1000, "unit": "tokens"})
    made.step(10.0)
    made.clock.advance(100.0)
    made.state.steps.set_progress(run, "train", {"done": 300, "total": 1000, "unit": "tokens"})
    made.step(0.0)
    # 200 of 1000 in 100 s, and 700 are left
    assert earliest() == pytest.approx(made.clock.now() + 350.0, rel=0.01)
    assert vague != pytest.approx(made.clock.now() + 350.0, rel=0.01)
    made.state.close()
