"""One use case without a pipeline around it: what a verb such as `model fetch` or `compress` needs to run it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bedplate.app.pipeline.contract.step import Needs, StepContext
from bedplate.core.clock import SystemClock
from bedplate.core.events import Event, MetricSample


class _NobodyListens:
    def emit(self, event: Event) -> None:
        """A verb on its own keeps no history."""

    def sample(self, sample: MetricSample) -> None:
        """See `emit`."""


@contextmanager
def standalone_context(
    name: str, directory: Path, say: Callable[[str], None], progress: Callable[[float, float, str], None]
) -> Iterator[StepContext]:
    """A step context over a local engine of its own; leaving it, by whatever way, ends all that still runs.

    Args:
        name: What the step is called in messages.
        directory: The step's directory; engine logs go under it.
        say: Takes lines for the person at the terminal.
        progress: Takes (done, total, unit).
    """
    from bedplate.engines.local.engine import LocalEngine

    engine = LocalEngine(directory / "engine")
    try:
        yield StepContext(
            name=name,
            run_id="",
            directory=directory,
            needs=Needs(),
            engine=engine,
            events=_NobodyListens(),
            clock=SystemClock(),
            results={},
            progress=progress,
            say=say,
            check_cancelled=lambda: None,
        )
    finally:
        engine.close()
