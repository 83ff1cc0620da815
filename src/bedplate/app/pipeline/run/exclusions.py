"""Cores that steps left out of the engine: found after each step, and left out again when the run is resumed."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable

from bedplate.core.devices import Exclusion
from bedplate.core.errors import NotFoundError
from bedplate.engines.base import CanExclude, Engine
from bedplate.state.records import ExclusionRecord


def exclusions_of(engine: Engine) -> Counter[Exclusion]:
    """What is left out of `engine` now; nothing where it cannot leave anything out."""
    return Counter(engine.exclusions()) if isinstance(engine, CanExclude) else Counter()


def exclude_again(engine: Engine, exclusions: Iterable[ExclusionRecord]) -> None:
    """Leave out what an earlier attempt's finished steps left out, where the engine can and still has it."""
    if isinstance(engine, CanExclude):
        for item in exclusions:
            with contextlib.suppress(NotFoundError):  # the node or core has gone since: it is out anyway
                engine.exclude(item.node_id, item.cores, item.reason)
