"""One use case without a pipeline around it: what a verb such as `model fetch` or `compress` needs to run it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bedplate.app.pipeline.contract.step import Needs, StepContext
from bedplate.app.wiring import local_engine
from bedplate.core.clock import SystemClock
from bedplate.core.events.event import EventSink, NullEventSink
from bedplate.core.reporter import NullReporter, Reporter


@contextmanager
def standalone_context(
    name: str,
    directory: Path,
    reporter: Reporter | None = None,
    events: EventSink | None = None,
    needs: Needs | None = None,
) -> Iterator[StepContext]:
    """A step context over a local engine of its own; leaving it in any way ends everything that still runs.

    Args:
        name: What the step is called in messages.
        directory: The step's directory; engine logs go under it.
        reporter: Shows lines and progress at the terminal; None: nobody watches.
        events: Where its events go; None: nowhere.
        needs: What its gangs need; None: one worker of one core.
    """
    engine = local_engine(directory / "engine")
    try:
        yield StepContext(
            name=name,
            run_id="",
            directory=directory,
            needs=needs or Needs(),
            engine=engine,
            events=events or NullEventSink(),
            clock=SystemClock(),
            results={},
            reporter=reporter or NullReporter(),
        )
    finally:
        engine.close()
