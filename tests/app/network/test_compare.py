"""`network.compare`: a small job laid over a fabric, hashing beside a plan, everything marked as simulated."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from bedplate.app.network.compare import Settings, plan, run
from bedplate.app.pipeline.contract.step import Needs, StepContext, StepResult
from bedplate.core.clock import VirtualClock
from bedplate.core.collectives import Collective, CollectiveKind
from bedplate.core.errors import CancelledError, NotFoundError, UsageError
from bedplate.core.events.event import Event, MetricSample, SinkStatistics
from bedplate.core.figures import Figure, FigureKind
from bedplate.core.measurement import Provenance
from bedplate.core.reporter import CallbackReporter
from bedplate.core.settings import read_settings
from bedplate.engines.base import Engine
from bedplate.network.collectives.placement import RankOrder

MESSAGE_BYTES = 269_000_000


@dataclass
class Watcher:
    """Keeps what the step said; cancels after a number of looks."""

    cancel_after: int = 10**9
    said: list[str] = field(default_factory=list)
    progress: list[tuple[float, float]] = field(default_factory=list)

    def emit(self, event: Event) -> None:
        self.said.append(event.message)

    def sample(self, sample: MetricSample) -> None: ...

    def statistics(self) -> SinkStatistics:
        return SinkStatistics()

    def check_cancelled(self) -> None:
        self.cancel_after -= 1
        if self.cancel_after < 0:
            raise CancelledError("cancelled")


def context_of(folder: Path, watcher: Watcher) -> StepContext:
    return StepContext(
        name="fabric",
        run_id="run",
        directory=folder,
        needs=Needs(),
        engine=cast(Engine, None),  # the step launches nothing
        events=watcher,
        clock=VirtualClock(5.0),
        results={},
        reporter=CallbackReporter(
            on_say=watcher.said.append,
            on_progress=lambda done, total, unit: watcher.progress.append((done, total)),
            on_check=watcher.check_cancelled,
        ),
    )


@pytest.fixture
def job(tmp_path: Path) -> str:
    gradients = Collective(kind=CollectiveKind.ALL_REDUCE, group=(0, 1), message_bytes=MESSAGE_BYTES)
    loss = Collective(kind=CollectiveKind.ALL_REDUCE, group=(0, 1), message_bytes=4)
    file = tmp_path / "training.json"
    file.write_text(json.dumps({"world_size": 2, "collectives": [loss.as_json(), gradients.as_json()]}))
    return str(tmp_path)


@pytest.fixture
def result(job: str, tmp_path: Path) -> StepResult:
    return run(Settings(job=job), context_of(tmp_path, Watcher()))


def values(result: StepResult) -> dict[str, float]:
    return {item.id: cast(float, item.value) for item in result.measurements}


def test_a_plan_gives_every_flow_its_nic_where_hashing_does_not(result: StepResult) -> None:
    found = values(result)
    assert found["network_planned_worst_flow_frac"] >= 0.99
    assert found["network_planned_link_mean_frac"] >= 0.9
    assert 0.55 <= found["network_ecmp_mean_flow_frac"] <= 0.75
    assert 0.15 <= found["network_ecmp_worst_flow_frac"] <= 0.35
    assert found["network_bound_frac"] == pytest.approx(1.0)


def test_an_all_reduce_takes_as_long_as_its_worst_flow(result: StepResult) -> None:
    ring_s = 2 * 63 / 64 * MESSAGE_BYTES / 50e9
    found = values(result)
    assert found["network_planned_collective_s"] == pytest.approx(ring_s)
    assert found["network_ecmp_collective_s"] == pytest.approx(ring_s / found["network_ecmp_worst_flow_frac"])


def test_every_number_is_marked_as_simulated_and_says_what_was_assumed(result: StepResult) -> None:
    assert {item.provenance for item in result.measurements} == {Provenance.SIMULATED}
    assert {item.provenance for item in result.figures} == {Provenance.SIMULATED}
    assert {item.provenance for item in result.tables} == {Provenance.SIMULATED}
    assert all("2 ranks widened to the 64 hosts" in item.scale and "'spread'" in item.scale for item in result.measurements)
    assert (result.outputs["job_world_size"], result.outputs["simulated_world_size"]) == (2, 64)
    assert result.outputs["message_bytes"] == MESSAGE_BYTES


def test_the_table_shows_that_packed_ranks_do_not_collide(result: StepResult) -> None:
    rows = {(row[0], str(row[1])): row for row in result.tables[0].rows}
    assert set(rows) == {(order.value, name) for order in RankOrder for name in ("hash ECMP", "planned paths")}
    assert rows["packed", "hash ECMP"][2] == 100.0
    assert rows["spread", "planned paths"][2] == 100.0


def test_the_figures_show_links_before_and_after_and_flows_sorted(result: StepResult) -> None:
    links, flows = result.figures
    assert links.kind is FigureKind.BAR
    assert {sum(cast(float, count) for count in series.y) for series in links.series} == {128.0}
    for series in flows.series:
        assert list(series.y) == sorted(cast(list[float], series.y))
        assert len(series.y) == 64
    assert [Figure.from_json(figure.as_json()) for figure in result.figures] == list(result.figures)


def test_the_result_file_is_whole_json_with_the_measurements(result: StepResult, tmp_path: Path) -> None:
    assert result.path == tmp_path / "network.json"
    data = json.loads(result.path.read_text())
    assert len(data["measurements"]) == len(result.measurements)
    assert not list(tmp_path.glob("*.partial"))


def test_the_plan_says_what_is_assumed_and_touches_nothing(tmp_path: Path) -> None:
    watcher = Watcher()
    text = " ".join(plan(Settings(job="$train"), context_of(tmp_path / "none", watcher)))
    assert "widened to as many ranks as hosts" in text
    assert "simulated" in text
    assert not (tmp_path / "none").exists()
    assert watcher.said == []


def test_progress_ends_at_the_total(job: str, tmp_path: Path) -> None:
    watcher = Watcher()
    run(Settings(job=job, topology="leaf-spine:2x2", seeds=3), context_of(tmp_path, watcher))
    done = [entry[0] for entry in watcher.progress]
    assert done == sorted(done)
    assert watcher.progress[-1] == (8, 8)


def test_a_cancelled_step_leaves_no_result(job: str, tmp_path: Path) -> None:
    with pytest.raises(CancelledError):
        run(Settings(job=job), context_of(tmp_path, Watcher(cancel_after=3)))
    assert not (tmp_path / "network.json").exists()


def test_the_keys_of_the_pipeline_file_are_those_of_the_settings() -> None:
    settings = read_settings(Settings, {"job": "x", "topology": "leaf-spine:4x4", "order": "packed", "seeds": 3})
    assert settings == Settings(job="x", topology="leaf-spine:4x4", order=RankOrder.PACKED, seeds=3)


def test_a_job_of_one_rank_exchanges_nothing(tmp_path: Path) -> None:
    file = tmp_path / "job.json"
    file.write_text(json.dumps({"world_size": 1, "collectives": []}))
    with pytest.raises(UsageError, match="exchange nothing"):
        run(Settings(job=str(file)), context_of(tmp_path, Watcher()))


def test_a_job_larger_than_the_fabric_is_refused(tmp_path: Path) -> None:
    ring = Collective(kind=CollectiveKind.ALL_REDUCE, group=tuple(range(9)), message_bytes=8)
    file = tmp_path / "job.json"
    file.write_text(json.dumps({"world_size": 9, "collectives": [ring.as_json()]}))
    with pytest.raises(UsageError, match="more ranks than the fabric has hosts"):
        run(Settings(job=str(file), topology="leaf-spine:2x2"), context_of(tmp_path, Watcher()))


def test_a_missing_job_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no job file"):
        run(Settings(job=str(tmp_path / "nowhere")), context_of(tmp_path, Watcher()))
