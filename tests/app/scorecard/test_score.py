"""The `score` step: grades what the steps before left behind, and writes one page."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from bedplate.app.pipeline.contract.step import Needs, StepContext, StepResult
from bedplate.app.scorecard.score import Settings, plan, run
from bedplate.core.clock import VirtualClock
from bedplate.core.errors import ConfigurationError
from bedplate.core.events.event import Event, MetricSample, SinkStatistics
from bedplate.core.figures import Figure, FigureKind, Series
from bedplate.core.measurement import Provenance
from bedplate.core.reporter import CallbackReporter
from bedplate.core.settings import read_settings
from bedplate.engines.base import Engine
from tests.json_values import list_at, text_at, value_at
from tests.scorecard.values import measured


@dataclass
class Watcher:
    said: list[str] = field(default_factory=list)

    def emit(self, event: Event) -> None: ...

    def sample(self, sample: MetricSample) -> None: ...

    def statistics(self) -> SinkStatistics:
        return SinkStatistics()


def context_of(folder: Path, results: dict[str, StepResult], watcher: Watcher) -> StepContext:
    return StepContext(
        name="score",
        run_id="run-7",
        directory=folder,
        needs=Needs(),
        engine=cast(Engine, None),  # the step launches nothing
        events=watcher,
        clock=VirtualClock(1_700_000_000.0),
        results=results,
        reporter=CallbackReporter(on_say=watcher.said.append),
        seconds={"train": 61.0},
    )


@pytest.fixture
def results() -> dict[str, StepResult]:
    loss = Figure(
        id="loss",
        title="Loss over steps",
        kind=FigureKind.LINE,
        x_label="step",
        y_label="nats",
        series=(Series(name="loss", x=(0, 1), y=(3, 2)),),
        provenance=Provenance.MEASURED,
    )
    return {
        "train": StepResult(measurements=(measured("goodput_frac", 0.6),), figures=(loss,)),
        "serve": StepResult(measurements=(measured("kv_throughput_ratio", 1.8, unit="ratio"),)),
    }


def test_the_page_holds_the_steps_their_figures_and_their_times(tmp_path: Path, results: dict[str, StepResult]) -> None:
    result = run(Settings(title="my run"), context_of(tmp_path, results, Watcher()))
    assert result.path == tmp_path / "report.html"
    html = result.path.read_text(encoding="utf-8")
    assert all(words in html for words in ("my run", "run-7", "Loss over steps", "1m 01s"))


def test_outputs_are_the_json_of_the_verb(tmp_path: Path, results: dict[str, StepResult]) -> None:
    outputs = run(Settings(), context_of(tmp_path, results, Watcher())).outputs
    assert {"indicators", "parts", "limiting", "coverage_frac"} <= set(outputs)
    graded = {text_at(item, "id"): value_at(item, "level") for item in list_at(outputs, "indicators")}
    assert graded["kv_throughput_gain_frac"] == "lead" and graded["goodput_frac"] == "base"


def test_measurements_stay_with_the_steps_that_took_them(tmp_path: Path, results: dict[str, StepResult]) -> None:
    assert run(Settings(), context_of(tmp_path, results, Watcher())).measurements == ()


def test_the_person_who_watches_hears_the_score_and_what_limits_it(tmp_path: Path, results: dict[str, StepResult]) -> None:
    watcher = Watcher()
    settings = read_settings(Settings, {"language": "zh"})
    run(settings, context_of(tmp_path, results, watcher))
    assert "总分" in watcher.said[0] and "有效训练时间占比" in watcher.said[1]


def test_a_second_run_after_a_kill_writes_the_same_page(tmp_path: Path, results: dict[str, StepResult]) -> None:
    (tmp_path / "report.html").write_text("half a pa")
    context = context_of(tmp_path, results, Watcher())
    first = run(Settings(), context).path
    assert first is not None
    html = first.read_text(encoding="utf-8")
    run(Settings(), context)
    assert first.read_text(encoding="utf-8") == html and html.endswith("</html>")
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_a_plan_says_what_and_where_and_writes_nothing(tmp_path: Path) -> None:
    lines = plan(Settings(), context_of(tmp_path, {}, Watcher()))
    assert "5 parts" in lines[0] and "report.html" in lines[1]
    assert not list(tmp_path.iterdir())


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="en, zh"):
        read_settings(Settings, {"language": "fr"})
