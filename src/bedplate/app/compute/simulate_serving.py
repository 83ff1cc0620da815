"""`compute simulate` of a service that follows its load beside the jobs of a trace, for the command line and for Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bedplate.compute.capacity.following import CapacityMode
from bedplate.compute.simulate.replay.question import JobsQuestion
from bedplate.compute.simulate.serving.question import ServingQuestion as Settings
from bedplate.core.errors import UnavailableError
from bedplate.core.reporter import NullReporter, Reporter

if TYPE_CHECKING:
    from bedplate.compute.simulate.serving.simulate import ServingResult

__all__ = ["JobsQuestion", "ServingResult", "Settings", "simulate_serving"]


def simulate_serving(settings: Settings, jobs: JobsQuestion, reporter: Reporter | None = None) -> ServingResult:
    """Answer the question.

    Raises:
        NotFoundError, ConfigurationError: A file is missing or cannot be read, with its line.
        CheckFailedError: More of the trace is left out than the question allows.
        UsageError: The load needs more than the cluster has, or is too short.
        UnavailableError: Forecasting is not installed.
    """
    if CapacityMode.FORECAST in settings.capacity:
        try:
            import lightgbm  # noqa: F401  # jobs would be read for nothing otherwise
            import statsforecast  # noqa: F401
        except ImportError as error:
            raise UnavailableError(
                "forecasting is not installed",
                seen=str(error),
                next_step="pip install 'bedplate[forecast]', or --capacity reactive",
            ) from error
    from bedplate.compute.simulate.serving.simulate import simulate_serving as answer

    return answer(settings, jobs, reporter or NullReporter())
