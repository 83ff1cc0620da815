"""The catalogue of events: one spelling, typed facts, nothing emitted around it, nothing in it that is never emitted."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import bedplate
from bedplate.core.errors import NotFoundError
from bedplate.core.events.event import Severity, run_subject
from bedplate.core.events.kinds import EVENT_KINDS, CheckpointCopyFailed, StepDone, event_kind, make_event
from bedplate.core.messages import decode

SOURCE = Path(bedplate.__file__).parent


def test_an_event_has_the_name_severity_and_facts_of_its_kind() -> None:
    made = make_event(CheckpointCopyFailed(step=3, reason="full"), at_s=1.0, message="m", subject=run_subject("r", "train"))
    assert (made.kind, made.severity, made.at_s, made.message) == ("checkpoint.copy_failed", Severity.WARNING, 1.0, "m")
    assert made.attributes == {"step": 3, "reason": "full"}
    assert str(made.subject) == "step:r/train"
    assert decode(EVENT_KINDS[made.kind].facts, made.attributes) == CheckpointCopyFailed(step=3, reason="full")


def test_facts_that_are_not_finite_survive() -> None:
    made = make_event(StepDone(seconds=float("inf")), at_s=0.0)
    assert decode(StepDone, made.attributes) == StepDone(seconds=float("inf"))


def test_what_is_not_in_the_catalogue_is_refused() -> None:
    @dataclass(frozen=True)
    class StepDune:
        seconds: float = 0.0

    with pytest.raises(NotFoundError, match="did you mean 'StepDone'"):
        make_event(StepDune(), at_s=0.0)


@pytest.mark.parametrize("name", ["checkpoint", "checkpoint.copy-failed", "Checkpoint.copied", "a..b", "a.b_", "1.a"])
def test_a_kind_is_words_in_snake_case_joined_by_dots(name: str) -> None:
    @dataclass(frozen=True)
    class Facts:
        pass

    with pytest.raises(ValueError, match="snake_case"):
        event_kind(name)(Facts)
    assert name not in EVENT_KINDS


def test_a_kind_is_declared_once_and_by_a_frozen_dataclass() -> None:
    @dataclass(frozen=True)
    class Facts:
        pass

    with pytest.raises(ValueError, match="already"):
        event_kind("step.done")(Facts)

    class Loose:
        pass

    with pytest.raises(TypeError, match="frozen dataclass"):
        event_kind("test.loose")(Loose)


@pytest.mark.parametrize(
    "name", sorted(name for name, kind in EVENT_KINDS.items() if kind.facts.__module__.startswith("bedplate"))
)
def test_a_kind_says_what_it_means(name: str) -> None:
    assert EVENT_KINDS[name].meaning.endswith((".", "traceback."))


def test_events_are_made_by_the_catalogue_only() -> None:
    around = [f"{file}:{call.lineno}" for file, call in calls() if name_of(call) == "Event" and not is_thread_event(call)]
    assert around == [], "use core.events.catalogue.make_event"


def test_every_kind_is_emitted_somewhere() -> None:
    made = {name_of(call) for _, call in calls()}
    made |= names_in("app/pipeline/run/step_gangs.py") | names_in("compute/inventory/take.py")  # chosen by a table
    ours = [kind.facts.__name__ for kind in EVENT_KINDS.values() if kind.facts.__module__ == "bedplate.core.events.kinds"]
    assert [name for name in ours if name not in made] == []


def calls() -> Iterator[tuple[str, ast.Call]]:
    for file in SOURCE.rglob("*.py"):
        name = str(file.relative_to(SOURCE))
        if name not in ("core/events/catalogue.py", "core/events/kinds.py"):
            yield from ((name, node) for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call))


def names_in(file: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse((SOURCE / file).read_text())) if isinstance(node, ast.Name)}


def name_of(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def is_thread_event(call: ast.Call) -> bool:
    return not call.args and not call.keywords
