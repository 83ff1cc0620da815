"""`compute simulate` of jobs with durations: policies side by side on a trace, for the command line and for Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bedplate.compute.simulate.replay.question import JobsQuestion as Settings
from bedplate.core.clock import SystemClock
from bedplate.core.errors import UnavailableError, UsageError
from bedplate.core.files import write_file
from bedplate.core.reporter import NullReporter, Reporter

if TYPE_CHECKING:
    from bedplate.compute.simulate.replay.simulate import JobsResult

__all__ = ["JobsResult", "Settings", "simulate_jobs"]


def simulate_jobs(settings: Settings, reporter: Reporter | None = None) -> JobsResult:
    """Answer the question, and write the report that it asks for.

    Raises:
        NotFoundError, ConfigurationError: A file is missing or cannot be read, with its line.
        CheckFailedError: More of the trace is left out than the question allows.
        UsageError: A policy that cannot be loaded, words that cannot be read, a run too large for a timeline, a folder for
            results that does not exist.
        UnavailableError: A result cannot be written.
    """
    from bedplate.app.compute.job_figures import figure_page
    from bedplate.compute.simulate.replay.simulate import simulate_jobs as answer
    from bedplate.scorecard.report.page import render_figures

    written = [Path(name) for name in (settings.save_jobs, settings.report, settings.trace) if name is not None]
    _check_places(written)
    try:
        result = answer(settings, reporter or NullReporter())
        if settings.report is not None:
            write_file(Path(settings.report), render_figures(figure_page(result, SystemClock().now())))
    except OSError as error:
        if error.filename is None or Path(error.filename).parent not in [file.parent for file in written]:
            raise
        raise UnavailableError(
            "the result cannot be written",
            seen=f"{error.filename}: {error.strerror}",
            next_step="check the disk and the folder's permissions, or choose another file",
        ) from error
    return result


def _check_places(files: Sequence[Path]) -> None:
    """Find out before the work whether its results have somewhere to go."""
    for file in files:
        if file.is_dir() or not file.parent.is_dir():
            raise UsageError(
                "the result cannot be written there",
                seen=file,
                expected="a file in a folder that exists",
            )
