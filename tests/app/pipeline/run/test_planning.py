"""A plan looks and never acts."""

from pathlib import Path

import bedplate
from bedplate.app.pipeline.contract.step import PlanContext
from tests.app.steps import write

SEEN: list[PlanContext] = []
Settings, run = write.Settings, write.run


def plan(settings: write.Settings, context: PlanContext) -> list[str]:
    """A use case of its own: keeps what it was given."""
    SEEN.append(context)
    return [f"{len(context.engine.resources())} node"]


def test_a_plan_gets_an_engine_that_can_only_be_looked_at(tmp_path: Path) -> None:
    pipeline = {"version": 1, "steps": {"a": {"use": "own"}}}
    planned = bedplate.plan(pipeline, state=str(tmp_path / "state"), uses={"own": __name__})
    assert planned.steps[0].lines == ("1 node",)
    (context,) = SEEN
    public = {name for name in dir(context.engine) if not name.startswith("_")}
    assert public == {"name", "resources"}
    assert not hasattr(context, "events")
    assert not (tmp_path / "state").exists()
