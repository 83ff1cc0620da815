"""A pipeline file is checked completely before anything runs; steps come in an order that follows their inputs."""

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.app.pipeline.file.definition import Pipeline
from bedplate.app.pipeline.file.order import ordered
from bedplate.app.pipeline.file.reading import read_pipeline
from bedplate.app.pipeline.file.references import references_in, resolved
from bedplate.core.errors import ConfigurationError, UnavailableError
from bedplate.core.json import Json
from bedplate.documents.reading import document_from, read_document
from tests.command_line import ROOT, USES


def read(folder: Path, text: str) -> Pipeline:
    file = folder / "file.yaml"
    file.write_text(text)
    return read_pipeline(read_document(file), USES)


STEPS = "version: 1\nsteps:\n  one: {use: test.write}\n"


@pytest.mark.parametrize(
    ("text", "line", "words", "near"),
    [
        ("version: 1\nstep: {}\n", 2, "unknown key 'step'", "steps"),
        ("steps: {a: {use: test.write}}\n", None, "'version' must be 1", None),
        ("version: true\nsteps: {a: {use: test.write}}\n", 1, "'version' must be 1", None),
        ("version: 1.0\nsteps: {a: {use: test.write}}\n", 1, "'version' must be 1", None),
        ("version: 2\nsteps: {a: {use: test.write}}\n", 1, "'version' must be 1", None),
        ("version: 1\nname: a b\nsteps: {a: {use: test.write}}\n", 2, "invalid name", None),
        ("version: 1\n", 1, "'steps' must name at least one step", None),
        ("version: 1\nsteps: [a]\n", 2, "'steps' must name at least one step", None),
        ("version: 1\nsteps:\n  ../a: {use: test.write}\n", 3, "invalid step name", None),
        ("version: 1\nneeds: {worker: {want: 2}}\nsteps: {a: {use: test.write}}\n", 2, "unknown key 'worker'", "workers"),
        ("version: 1\nneeds: {workers: {want: 0}}\nsteps: {a: {use: test.write}}\n", 2, "out of range", None),
        (STEPS + "  two: hello\n", 4, "step 'two' must be a mapping", None),
        (STEPS + "  two: {text: x}\n", 4, "step 'two' needs 'use'", None),
        (STEPS + "  two: {use: test.writ}\n", 4, "unknown use 'test.writ'", "test.write"),
        (STEPS + "  two:\n    use: test.write\n    txt: x\n", 6, "unknown key 'txt'", "text"),
        (STEPS + "  two:\n    use: test.write\n    aftr: one\n", 6, "unknown key 'aftr'", "after"),
        (STEPS + "  two:\n    use: test.write\n    text: [1]\n", 6, "wrong type", None),
        (STEPS + "  two:\n    use: test.write\n    times: 3s\n", 6, "'s' is not a unit of a count", None),
        (STEPS + "  two:\n    use: test.write\n    pause: 3 secs\n", 6, "'secs' is not a unit of a duration", None),
        (STEPS + "  two:\n    use: test.write\n    times: 0\n", 6, "out of range", None),
        (STEPS + "  two: {use: test.gate}\n", 4, "'opens' is missing", None),
        (STEPS + "  two:\n    use: test.write\n    sources:\n      - $noe\n", 7, "unknown reference '$noe'", "$one"),
        (STEPS + "  two: {use: test.write, after: [onne]}\n", 4, "unknown step 'onne'", "one"),
        (STEPS + "  two: {use: test.write, after: {a: 1}}\n", 4, "'after' must be a list of steps", None),
        (STEPS + "  two:\n    use: test.write\n    sources: [./nowhere.txt]\n", 6, "does not exist", None),
        (STEPS + "  two: {use: test.write, text: $two}\n", 4, "depend on each other", None),
    ],
)
def test_what_cannot_be_meant_is_refused_with_line_and_nearest_word(
    tmp_path: Path, text: str, line: int | None, words: str, near: str | None
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        read(tmp_path, text)
    assert words in str(raised.value)
    assert raised.value.exit_code == 2
    if line is not None:
        assert raised.value.where == f"{tmp_path / 'file.yaml'}:{line}"
    if near is not None:
        assert raised.value.next_step == f"did you mean '{near}'?"


def test_steps_that_wait_for_each_other_are_named_in_order(tmp_path: Path) -> None:
    text = (
        "version: 1\nsteps:\n  a: {use: test.write, text: $c}\n  b: {use: test.write, text: $a}\n"
        "  c: {use: test.write, after: [b]}\n  d: {use: test.write}\n"
    )
    with pytest.raises(ConfigurationError) as raised:
        read(tmp_path, text)
    assert raised.value.seen == "a -> c -> b -> a"


def test_steps_follow_their_inputs_and_otherwise_the_file(tmp_path: Path) -> None:
    text = (
        "version: 1\nsteps:\n  z: {use: test.write}\n  a: {use: test.write, sources: [$m]}\n"
        "  m: {use: test.write, after: z}\n  b: {use: test.write}\n"
    )
    assert [step.name for step in read(tmp_path, text).steps] == ["z", "m", "a", "b"]


def test_needs_and_settings_have_their_defaults(tmp_path: Path) -> None:
    pipeline = read(tmp_path, "version: 1\nneeds: {workers: {want: 2}}\nsteps:\n  a: {use: test.write, times: 2k}\n")
    assert (pipeline.needs.workers.want, pipeline.needs.workers.min, pipeline.needs.cpus_per_worker) == (2, 1, 1)
    settings = pipeline.steps[0].settings({})
    assert (settings.times, settings.text) == (2000, "hello")


def test_paths_start_at_the_folder_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "input.txt").write_text("x")
    (step,) = read(tmp_path, "version: 1\nsteps:\n  a: {use: test.write, sources: [./input.txt]}\n").steps
    assert step.written["sources"] == [str(tmp_path / "input.txt")]


def test_a_use_case_that_is_not_installed_is_unavailable(tmp_path: Path) -> None:
    document = document_from({"version": 1, "steps": {"a": {"use": "mine"}}}, tmp_path)
    with pytest.raises(UnavailableError, match=r"no_such_module"):
        read_pipeline(document, {"mine": "no_such_module.at_all"})


def test_references_are_found_and_replaced_anywhere_in_a_value() -> None:
    value: Json = {"a": ["$one", {"b": "${two}/part and $$one"}], "c": 3, "d": "$5"}
    assert list(references_in(value, ())) == [("one", ("a", 0)), ("two", ("a", 1, "b"))]
    assert resolved(value, {"one": "/1", "two": "/2"}) == {"a": ["/1", {"b": "/2/part and $one"}], "c": 3, "d": "$5"}
    assert resolved("$later", {}) == "$later"


NAMES = st.sampled_from("abcdefg")


@given(st.dictionaries(NAMES, st.frozensets(NAMES), min_size=1))
def test_an_order_puts_each_after_its_needs_or_there_is_a_real_cycle(needs: dict[str, frozenset[str]]) -> None:
    known = {name: others & set(needs) for name, others in needs.items()}
    try:
        order = ordered(known)
    except ConfigurationError as error:
        cycle = str(error.seen).split(" -> ")
        assert cycle[0] == cycle[-1] == min(cycle, key=list(known).index)
        assert all(after in known[name] for name, after in itertools.pairwise(cycle))
        return
    assert sorted(order) == sorted(known)
    assert all(known[name] <= set(order[:place]) for place, name in enumerate(order))


def test_the_file_in_the_documentation_is_understood(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "pipelines.md").read_text()
    text = page.partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "file.yaml").write_text(text)
    (tmp_path / "notes.jsonl").write_text('{"text": "x"}\n')
    pipeline = read_pipeline(read_document(tmp_path / "file.yaml"))
    assert [step.name for step in pipeline.steps] == ["model", "corpus", "report"]
