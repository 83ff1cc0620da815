"""Grades what the steps before measured, and writes the report: one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from bedplate.app.pipeline.contract.step import PlanContext, ResultKind, StepContext, StepResult
from bedplate.app.scorecard.graded_run import GradedRun, write_report
from bedplate.core.settings import settings
from bedplate.core.text import text
from bedplate.locale.catalogue import in_language
from bedplate.locale.languages import Language, choose_language
from bedplate.scorecard.catalogue import all_indicators
from bedplate.scorecard.report.model import ReportStep

EXPLANATION = text("Grade everything that was measured in five parts, name what limits it, and write a one-page report.")


@settings
class Settings:
    """Keys of a `score` step."""

    language: Language | None = None
    """Language that the report opens in, by default that of the terminal (`--lang`); the page holds both."""
    title: str = ""
    """Heading of the report; the run's own name where it is empty."""


def plan(settings: Settings, context: PlanContext) -> Sequence[str]:
    """What would be graded."""
    num_parts = len({indicator.part for indicator in all_indicators()})
    return (
        f"grades {len(all_indicators())} indicators over {num_parts} parts from what the steps before measured",
        f"writes {context.directory / 'report.html'} (opens in {_language(settings).value})",
    )


def run(settings: Settings, context: StepContext) -> StepResult:
    """Grade all results so far. `path` is the page, `outputs` the JSON of `bedplate score -o json`."""
    graded = graded_run(settings, context)
    assessment, language = graded.assess(), _language(settings)
    report = context.directory / "report.html"
    write_report(graded, assessment, report, language=language, created_s=context.clock.now())
    for line in assessment.summary():
        context.reporter.say(in_language(line, language))
    return StepResult(path=report, kind=ResultKind.REPORT, outputs=assessment.as_json(language))


def _language(settings: Settings) -> Language:
    return settings.language or choose_language()


def graded_run(settings: Settings, context: StepContext) -> GradedRun:
    """The run so far; its measurements stay with the steps that took them."""
    return GradedRun(
        title=settings.title or context.run_id,
        run_id=context.run_id,
        measurements=tuple(item for result in context.results.values() for item in result.measurements),
        steps=tuple(
            ReportStep(
                name=name,
                status="done",
                duration_s=context.seconds.get(name),
                figures=result.figures,
                tables=result.tables,
            )
            for name, result in context.results.items()
        ),
    )
