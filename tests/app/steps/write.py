"""Writes a text to a file, after the texts of the files it is given."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from bedplate.app.pipeline.contract.step import PlanContext, StepContext, StepResult
from bedplate.core.figures import Figure, FigureKind, ResultTable, Series
from bedplate.core.measurement import Measurement, Provenance
from bedplate.core.settings import Range
from bedplate.core.units import Count, Duration

EXPLANATION = "Writes a text, so that a later step has something to read."


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    text: str = "hello"
    """What is written."""
    sources: tuple[str, ...] = ()
    """Files whose text comes first."""
    times: Annotated[Count, Range(1, 100_000)] = 1
    """How often the text is written."""
    pause: Duration = 0.0
    """Not used; there to have a unit."""


def plan(settings: Settings, context: PlanContext) -> Sequence[str]:
    return [f"write {settings.text!r} {settings.times} times after {list(settings.sources)}"]


def run(settings: Settings, context: StepContext) -> StepResult:
    with (context.directory / "runs.txt").open("a") as runs:
        runs.write("run\n")
    target = context.directory / "text.txt"
    before = "".join(Path(source).read_text() for source in settings.sources)
    aside = target.with_suffix(".part")
    aside.write_text(before + settings.text * settings.times)
    aside.rename(target)
    context.reporter.say(f"wrote {target.name}")
    context.reporter.progress(1, 1, "files")
    size = Measurement(id="text_bytes", value=float(target.stat().st_size), unit="bytes", provenance=Provenance.MEASURED)
    figure = Figure(
        id="sizes",
        title="Sizes",
        kind=FigureKind.LINE,
        x_label="file",
        y_label="bytes",
        series=(Series(name="size", x=(1.0, 2.0), y=(float("nan"), 2.0)),),
        provenance=Provenance.MEASURED,
    )
    table = ResultTable(id="t", title="T", columns=("a",), rows=((1.0,), ("x",), (None,)), provenance=Provenance.MEASURED)
    return StepResult(path=target, outputs={"words": 2}, measurements=(size,), figures=(figure,), tables=(table,))
