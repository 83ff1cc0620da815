"""An engine as one step sees it: the same engine, and what the step does to it is noted under the step's name.

Noted are gangs, so that `logs` finds what a step's tasks wrote, and exclusions, so that a resumed run leaves out what a
finished screening step found bad. All public attributes are copied onto the view, so that it has exactly the
capabilities of the engine behind it: `isinstance(engine, FaultInjection)` answers alike for both.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import Any, cast

from bedplate.core.errors import NotFoundError
from bedplate.core.workload import Gang
from bedplate.engines.base import CanExclude, Engine, GangHandle
from bedplate.state.records import ExclusionRecord


def engine_for_step(
    engine: Engine, step: str, note_gang: Callable[[GangHandle], None], note_exclusion: Callable[[ExclusionRecord], None]
) -> Engine:
    """A view of `engine` that tells `note_gang` and `note_exclusion` what `step` does."""

    def submit(gang: Gang) -> GangHandle:
        handle = engine.submit(gang)
        note_gang(handle)
        return handle

    def exclude(node_id: str, cores: tuple[int, ...], reason: str) -> None:
        assert isinstance(engine, CanExclude)
        engine.exclude(node_id, cores, reason)
        note_exclusion(ExclusionRecord(step=step, node_id=node_id, cores=tuple(cores), reason=reason))

    changed: dict[str, Any] = {"submit": submit}
    if isinstance(engine, CanExclude):
        changed["exclude"] = exclude
    return cast(Engine, _View(engine, changed))


def exclude_again(engine: Engine, exclusions: Iterable[ExclusionRecord]) -> None:
    """Leave out what an earlier attempt's finished steps left out, where the engine can and still has it."""
    if isinstance(engine, CanExclude):
        for item in exclusions:
            with contextlib.suppress(NotFoundError):  # gone since: that node or core is out anyway
                engine.exclude(item.node_id, item.cores, item.reason)


class _View:
    def __init__(self, engine: Engine, changed: dict[str, Any]) -> None:
        names = [name for name in dir(engine) if not name.startswith("_")]
        self.__dict__.update({name: getattr(engine, name) for name in names} | changed)
