"""How kinds of events are declared, and how events are made; `core/events/kinds.py` declares bedplate's own."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from bedplate.core.errors import NotFoundError, did_you_mean
from bedplate.core.events.event import Event, Severity, Subject
from bedplate.core.messages import encode

Facts = TypeVar("Facts")

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*(\.[a-z][a-z0-9]*(_[a-z0-9]+)*)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class EventKind:
    """One entry of the catalogue."""

    name: str
    severity: Severity
    """Of an event that does not say otherwise."""
    facts: type
    """Dataclass of its attributes."""

    @property
    def meaning(self) -> str:
        """What it means that it happened; one line."""
        return (self.facts.__doc__ or "").split("\n")[0]


_BY_NAME: dict[str, EventKind] = {}
_BY_FACTS: dict[type, EventKind] = {}

EVENT_KINDS: Mapping[str, EventKind] = MappingProxyType(_BY_NAME)
"""Every kind that is declared, by name."""


def event_kind(name: str, severity: Severity = Severity.INFO) -> Callable[[type[Facts]], type[Facts]]:
    """Declare the frozen dataclass below to be the facts of events of the kind `name`.

    Raises:
        ValueError: The name is taken, or not words in snake_case joined by dots.
        TypeError: The class is no frozen dataclass.
    """

    def declare(cls: type[Facts]) -> type[Facts]:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not words in snake_case joined by dots, like checkpoint.copy_failed")
        if not dataclasses.is_dataclass(cls) or not cls.__dataclass_params__.frozen:  # type: ignore[attr-defined]
            raise TypeError(f"{cls.__name__} is no frozen dataclass")
        known = _BY_NAME.get(name)
        if known is not None and (known.facts.__module__, known.facts.__qualname__) != (cls.__module__, cls.__qualname__):
            raise ValueError(f"the event kind {name!r} is declared in {known.facts.__module__} already")
        _BY_NAME[name] = _BY_FACTS[cls] = EventKind(name=name, severity=severity, facts=cls)
        return cls

    return declare


def make_event(
    facts: Any,
    *,
    at_s: float,
    message: str = "",
    severity: Severity | None = None,
    subject: Subject | None = None,
    source: str = "",
) -> Event:
    """An event of the kind that `facts` belong to.

    Args:
        facts: An instance of a declared class; becomes the attributes.
        at_s: When; seconds since the epoch, or virtual seconds under the simulated engine.
        message: For people; one line.
        severity: Where it differs from the kind's.
        subject: What it is about; None: what the sink is for.
        source: The component that says so.

    Raises:
        NotFoundError: The class of `facts` is not in the catalogue.
    """
    kind = _BY_FACTS.get(type(facts))
    if kind is None:
        name = type(facts).__name__
        next_step = did_you_mean(name, [cls.__name__ for cls in _BY_FACTS], "declare it with @event_kind")
        raise NotFoundError(f"{name} is not the facts of any event kind", seen=facts, next_step=next_step)
    return Event(
        kind=kind.name,
        at_s=at_s,
        message=message,
        severity=severity or kind.severity,
        subject=subject,
        source=source,
        attributes=encode(facts),
    )
