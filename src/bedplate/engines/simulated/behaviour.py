"""What a simulated task does, as its spec says: `{"simulated": {"exit_code": 3, "at_s": 2.0}}`.

Real engines hand the key to the entry like any other, so one task can describe itself for both. What it reports and returns is
written as `core/messages.py` writes it: the string `NaN` is the number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from bedplate.core.messages import decode_json
from bedplate.core.settings import Range, read_settings
from bedplate.core.workload import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedProgress:
    """One report of a simulated task."""

    at_s: Annotated[float, Range(0)]
    """Virtual seconds after its start."""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """What it reports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedBehaviour:
    """The life of a simulated task; the default is to run for `Task.duration_s` and finish."""

    at_s: Annotated[float, Range(0)] | None = None
    """Virtual seconds after its start at which it ends; wins over `Task.duration_s`. Neither: it runs until it is ended."""
    exit_code: int = 0
    """0 finished; above: its entry raised; below: minus the signal that ended it."""
    message: str = ""
    """Why it failed."""
    result: Mapping[str, Any] | None = None
    """What its entry returns."""
    log: str = ""
    """What it wrote to stdout and stderr."""
    progress: tuple[SimulatedProgress, ...] = ()
    """What it reports, and when."""
    silent_after_s: Annotated[float, Range(0)] | None = None
    """From then on it gives no heartbeat. None: it always does."""
    ignores_sigterm: bool = False
    """It ignores SIGTERM: `cancel` takes its full grace period."""


def read_behaviour(task: Task) -> SimulatedBehaviour:
    """The task's `simulated` key, with `duration_s` filled in.

    Raises:
        ConfigurationError: The key holds something else.
    """
    if "simulated" not in task.spec:
        return SimulatedBehaviour(at_s=task.duration_s)
    written = task.spec["simulated"]
    if isinstance(written, Mapping) and "at_s" not in written and task.duration_s is not None:
        written = {**written, "at_s": task.duration_s}
    behaviour = read_settings(SimulatedBehaviour, written)
    progress = [replace(report, attributes=decode_json(report.attributes)) for report in behaviour.progress]
    return replace(behaviour, progress=tuple(progress), result=decode_json(behaviour.result))
