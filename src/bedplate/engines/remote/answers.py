"""What an agent answers to the orders of a driver (`orders.py`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from bedplate.core.devices import Node
from bedplate.core.json import JsonObject
from bedplate.core.workload import Placement, TaskEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """It is done."""

    kind: Literal["done"] = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """An address, or a log."""

    text: str
    kind: Literal["text"] = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What the node is."""

    node: Node
    kind: Literal["described"] = "described"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Where the tasks of a part run."""

    placement: Placement
    kind: Literal["placed"] = "placed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What has happened to a part, whose tasks and events count from 0."""

    events: tuple[TaskEvent, ...]
    heartbeats_s: tuple[float | None, ...]
    """Time of the last heartbeat of each of its tasks."""
    kind: Literal["heard"] = "heard"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """It could not be done."""

    error: JsonObject
    """`BedplateError.as_json`."""
    kind: Literal["failed"] = "failed"


Answer: TypeAlias = Done | Text | Described | Placed | Heard | Failed
