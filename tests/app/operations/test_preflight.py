"""`ops.preflight`: what is bad is named and left out of the engine, what is good stays, too little is refused."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from bedplate.app.operations.preflight import Settings, plan, run
from bedplate.app.pipeline.contract.step import Needs, StepContext, Workers
from bedplate.app.wiring import local_engine
from bedplate.core.clock import SystemClock
from bedplate.core.errors import CheckFailedError, ConfigurationError, ResourcesError
from bedplate.core.events.event import Event, MetricSample, SinkStatistics
from bedplate.core.events.kinds import EVENT_KINDS
from bedplate.core.measurement import Provenance
from bedplate.core.reporter import CallbackReporter
from bedplate.core.settings import read_settings
from bedplate.core.text import text
from bedplate.core.workload import Gang, Task
from tests.json_values import list_at, object_at, text_at
from tests.operations.preflight.faults import MeddledEngine, Throttle

CORES = sorted(os.sched_getaffinity(0))
FIRST, SECOND = CORES[0], CORES[-1]
QUICK = Settings(budget=0.4, slow_share=0.6, retries=1, store_need=1, store_floor=1.0)


@dataclass
class Story:
    """An event sink and a listener."""

    events: list[Event] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def emit(self, event: Event) -> None:
        assert event.kind in EVENT_KINDS, event.kind
        self.events.append(event)

    def sample(self, sample: MetricSample) -> None:
        raise AssertionError(sample)

    def statistics(self) -> SinkStatistics:
        return SinkStatistics()

    def say(self, line: str) -> None:
        self.lines.append(line)


def make_context(tmp_path: Path, engine: MeddledEngine, min_workers: int = 1) -> tuple[StepContext, Story]:
    story = Story()
    context = StepContext(
        name="screen",
        run_id="run",
        directory=tmp_path,
        needs=Needs(workers=Workers(want=1, min=min_workers)),
        engine=engine,
        events=story,
        clock=SystemClock(),
        results={},
        reporter=CallbackReporter(on_say=story.say),
    )
    return context, story


@pytest.fixture
def three_slots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MeddledEngine]:
    """Three slots on two cores, so rates are relative; the last slot ends what works on it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    entries = {2: "tests.operations.preflight.faults:dies_when_measured"}
    engine = MeddledEngine(local_engine(tmp_path / "engine", [FIRST, SECOND, FIRST]), entries)
    yield engine
    engine.close()


def test_only_the_healthy_slot_is_kept(tmp_path: Path, three_slots: MeddledEngine) -> None:
    context, story = make_context(tmp_path, three_slots)
    with ExitStack() as faults:

        def meddle(line: str) -> None:
            story.say(line)
            if line.startswith("measuring"):
                faults.enter_context(Throttle(three_slots.pid(0)))

        result = run(QUICK, replace(context, reporter=CallbackReporter(on_say=meddle)))
    throttled, dead = (object_at(item) for item in list_at(result.outputs, "excluded"))
    assert (throttled["cores"], text_at(throttled, "reason").split(":")[0]) == ([FIRST], "slow")
    died = "its process died of signal 9 while it was measured"
    assert (dead["cores"], dead["reason"]) == ([FIRST], f"{died}; before that {died}")
    assert result.outputs["kept"] == [{"node": throttled["node"], "cores": [SECOND]}]
    assert [event.kind for event in story.events] == ["preflight.slot_excluded"] * 2
    assert any("slot 2 (core" in line for line in story.lines)
    assert "slot 0 is slow; measuring it again" in story.lines

    assert result.path is not None
    assert json.loads(result.path.read_text()) == result.outputs
    measured = {item.id: item for item in result.measurements}
    assert measured["screen_slots_excluded"].value == 2
    assert (measured["slot_matmul_flops_bf16_min"].value or 0) > 1e9
    assert measured["slot_matmul_flops_bf16_min"].value == measured["slot_matmul_flops_bf16_max"].value
    assert {item.provenance for item in result.measurements} == {Provenance.MEASURED}
    verdicts = {row[0]: str(row[result.tables[0].columns.index(text("verdict"))]) for row in result.tables[0].rows}
    assert verdicts.pop(0) in ("bad", "disturbed"), "where other work runs too, throttling looks like its doing"
    assert verdicts == {1: "good", 2: "bad"}

    if FIRST != SECOND:
        handle = three_slots.submit(Gang(name="later", tasks=(Task(entry="tests.app.operations.test_preflight:work"),)))
        assert three_slots.wait(handle, 30.0).tasks[0].cores == (SECOND,)
    with pytest.raises(ResourcesError):
        three_slots.submit(Gang(name="more", tasks=(Task(entry="tests.app.operations.test_preflight:work"),) * 3))


def work(_context: object) -> None:
    """A task of the job that follows."""


def test_too_few_good_slots_fail_and_name_the_bad_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    entries = {0: "tests.operations.preflight.faults:multiplies_wrongly"}
    engine = MeddledEngine(local_engine(tmp_path / "engine", [FIRST]), entries)
    context, _ = make_context(tmp_path, engine)
    try:
        with pytest.raises(CheckFailedError, match="too few good slots") as raised:
            run(QUICK, context)
    finally:
        engine.close()
    assert raised.value.exit_code == 4
    assert "slot 0: wrong results: fp32, bf16" in str(raised.value.seen)


def test_a_store_without_room_fails_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    engine = MeddledEngine(local_engine(tmp_path / "engine", [FIRST]))
    context, story = make_context(tmp_path, engine)
    try:
        with pytest.raises(CheckFailedError, match=r"store 'state' has .* free, the job needs"):
            run(replace(QUICK, store_need=10**18), context)
    finally:
        engine.close()
    assert "preflight.store_unfit" in {event.kind for event in story.events}


def test_the_plan_says_what_will_be_tried_and_touches_nothing(tmp_path: Path, three_slots: MeddledEngine) -> None:
    context, _ = make_context(tmp_path / "step", three_slots)
    lines = plan(QUICK, context)
    assert lines[0].startswith("measure 3 slots of 1 core(s)")
    assert three_slots.handles == []
    assert not (tmp_path / "step").exists()


def test_keys_of_a_step_are_read_with_their_units() -> None:
    settings = read_settings(Settings, {"budget": "2s", "slow_share": "40%", "pair_bytes": "16MB", "store_need": "10GB"})
    assert (settings.budget, settings.slow_share, settings.pair_bytes) == (2.0, 0.4, 16_000_000)
    with pytest.raises(ConfigurationError, match="'budget' is out of range"):
        read_settings(Settings, {"budget": "0s"})
