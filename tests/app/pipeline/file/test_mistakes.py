"""A file with several mistakes: each is told with its line, before anything runs, by `plan` and `run` alike."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bedplate
from bedplate.cli.main import main
from bedplate.core.errors import BedplateError, ConfigurationError, MistakesError
from tests.app.steps import write
from tests.command_line import USES

FILE = """
version: 1
nme: demo
needs: {workers: {want: 0}}
steps:
  model:
    use: model.fetch
    model: smollm2-135m-instrct
  corpus:
    use: data.text
    source: wikipedia-smple
    validation: 500%
  small:
    use: compress
    model: $model
    schemes: [int8, int9]
    toknes: 4k
  fabric:
    use: network.compare
    job: $trian
    topology: leaf_spine:8x8
  fabric2:
    use: network.compare
    job: $small
    topology: leaf_spine:8x8
  load:
    use: bench.serve
    model: smollm2
    kv: [on, onn]
"""
EXPECTED = {
    3: ("unknown key 'nme'", "did you mean 'name'?"),
    4: ("'needs.workers.want' is out of range", None),
    8: ("step 'model': unknown model 'smollm2-135m-instrct'", "did you mean 'smollm2-135m-instruct'?"),
    11: ("'source' names a file that does not exist", "did you mean 'wikipedia-sample'?"),
    12: ("'steps.corpus.validation': a fraction must be between 0 and 1", None),
    16: ("'steps.small.schemes.1' must be one of int8, int8-linear", "did you mean 'int8'?"),
    17: ("unknown key 'toknes'", "did you mean 'tokens'?"),
    20: ("unknown reference '$trian'", None),
    25: ("step 'fabric2': unknown fabric 'leaf_spine'", "did you mean 'leaf-spine:8x8'?"),
    29: ("'steps.load.kv.1' must be one of off, on", "did you mean 'on'?"),
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "file.yaml"
    file.write_text(FILE)
    return file


@pytest.mark.parametrize("verb", [bedplate.run, bedplate.plan])
def test_all_mistakes_are_told_at_once_with_line_and_nearest_word(file: Path, tmp_path: Path, verb: Callable[..., Any]) -> None:
    with pytest.raises(MistakesError, match=r"file\.yaml: 10 mistakes") as raised:
        verb(file, state=str(tmp_path / "state"))
    found = {int((mistake.where or "").rpartition(":")[2]): mistake for mistake in raised.value.mistakes}
    assert list(found) == list(EXPECTED), "in the order of the lines"
    for line, (what, next_step) in EXPECTED.items():
        assert what in found[line].what
        assert next_step is None or found[line].next_step == next_step
    assert not (tmp_path / "state").exists(), "nothing was stored"


@pytest.mark.parametrize("verb", ["run", "plan"])
def test_the_command_line_prints_each_of_them(file: Path, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, str(file)]) == 2
    printed = capsys.readouterr().err
    assert [printed.count(word) for word in ("error [BP201]", "did you mean")] == [10, 7]
    assert printed.endswith(f"{file}: 10 mistakes\n")
    assert main([verb, str(file), "-o", "json"]) == 2
    document = json.loads(capsys.readouterr().err)
    assert document["code"] == "BP202"
    assert [mistake["code"] for mistake in document["mistakes"]] == ["BP201"] * 10
    restored = BedplateError.from_json(document)
    assert isinstance(restored, MistakesError) and len(restored.mistakes) == 10


@pytest.mark.parametrize(
    ("step", "what"),
    [
        ("{use: model.fetch, model: smollm}", "unknown model 'smollm'"),
        ("{use: model.fetch, model: ./empty}", "not a model folder"),
        ("{use: compress, model: nobody}", "no model 'nobody'"),
        ("{use: compress, model: ./empty}", "not a model folder"),
        ("{use: compress, model: $one, data: ./empty}", "no text in the folder"),
        ("{use: data.text, source: ./file.docx}", "this text format is not supported"),
        ("{use: data.text, source: ./empty}", "no text in the folder"),
        ("{use: train, model: $one, data: $one, tokens: 1k, drill: {at_step: 9}}", "the drill comes after the last step"),
        ("{use: train, model: ./empty, data: $one}", "not a model folder"),
        ("{use: network.compare, job: $one, topology: leaf-spine:8}", "leaves x spines"),
        ("{use: network.compare, job: $one, topology: ./file.docx}", "file.docx"),
        ("{use: network.compare, job: ./empty}", "no job file"),
        ("{use: bench.serve, model: $one, kv: [on, on]}", "'kv' must name distinct settings"),
        ("{use: bench.serve, model: $one, vs: localhost}", "invalid URL of a peer"),
        ("{use: bench.serve, model: nobody}", "no model 'nobody'"),
    ],
)
def test_what_only_a_step_can_judge_is_judged_before_the_first_step_works(tmp_path: Path, step: str, what: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.docx").write_text("[]")
    file = tmp_path / "file.yaml"
    file.write_text(f"version: 1\nsteps:\n  one: {{use: test.write}}\n  two: {step}\n")
    for verb in (bedplate.plan, bedplate.run):
        with pytest.raises(ConfigurationError, match=what) as raised:
            verb(file, state=str(tmp_path / "state"), uses=USES)
        assert raised.value.where == f"{file}:4"
    assert not (tmp_path / "state").exists()


def test_a_step_that_is_done_is_not_judged_again(tmp_path: Path) -> None:
    """Its input may be gone since: a model that was removed from the cache."""
    pipeline = {"version": 1, "steps": {"a": {"use": "own"}}}
    uses, state = {"own": __name__}, str(tmp_path / "state")
    assert bedplate.run(pipeline, state=state, uses=uses).status == "done"
    REFUSED.append("it is gone")
    try:
        assert bedplate.run(pipeline, state=state, uses=uses).was_done_before
        with pytest.raises(ConfigurationError, match="it is gone"):
            bedplate.run(pipeline, state=state, uses=uses, new=True)
    finally:
        REFUSED.clear()


def test_a_plan_that_breaks_is_no_mistake_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BREAKS, "with", RuntimeError("a fault of the use case"))
    pipeline = {"version": 1, "steps": {"a": {"use": "own"}}}
    assert bedplate.run(pipeline, state=str(tmp_path / "state"), uses={"own": __name__}).status == "done"


Settings, run = write.Settings, write.run
REFUSED: list[str] = []
BREAKS: dict[str, Exception] = {}


def plan(settings: write.Settings, context: bedplate.PlanContext) -> list[str]:
    """A use case of its own."""
    if "with" in BREAKS:
        raise BREAKS["with"]
    if REFUSED:
        raise bedplate.NotFoundError(REFUSED[0], expected="that it is there")
    return []
