"""What a task sees of the world: one context, filled by whichever engine launched it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from bedplate.core.devices import DeviceRuntime
from bedplate.core.errors import BedplateError
from bedplate.core.implements import implements
from bedplate.core.json import Json, JsonObject, plain


class TaskChannel(Protocol):
    """The task's line back to its engine; both calls return immediately and may be made from any thread."""

    def heartbeat(self) -> None:
        """Report that the main loop advances: call it from the loop that does the work, never from a thread of its own."""
        ...

    def progress(self, attributes: Mapping[str, Json]) -> None:
        """Report something; it becomes a `progress` event and counts as a heartbeat."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskContext:
    """Handed to a task's entry; the same under every engine."""

    gang: str
    rank: int
    world_size: int
    rendezvous: str
    """`host:port` that rank 0 may listen on and the others connect to; reserved for this gang."""
    spec: JsonObject
    stores: Mapping[str, str] = field(default_factory=dict)
    cores: tuple[int, ...] = ()
    """Cores that the process is pinned to; thread counts are already set to their number."""
    devices: tuple[str, ...] = ()
    """Accelerators made visible, by id."""
    runtime: DeviceRuntime = field(default_factory=DeviceRuntime)
    """How they are programmed; without any, how processors are."""
    descriptors: Mapping[str, int] = field(default_factory=dict)
    """Inherited open files by name."""
    scratch: str = ""
    """A directory of the task's own, empty at its start, removed by the engine once the task has ended."""
    channel: TaskChannel

    @implements(TaskChannel)
    def heartbeat(self) -> None:
        self.channel.heartbeat()

    @implements(TaskChannel)
    def progress(self, **attributes: Json) -> None:
        self.channel.progress(attributes)


class TaskReporter:
    """A `Reporter` for code inside a task: what it says reaches the caller that runs the gang, and counts as a heartbeat."""

    def __init__(self, context: TaskContext) -> None:
        self._context = context

    def say(self, text: str) -> None:
        """A line for the person who watches."""
        self._context.progress(say=text)

    def progress(self, done: float, total: float, unit: str) -> None:
        """How far the work is; a heartbeat alone where `total` is 0."""
        if total:
            self._context.progress(done=done, total=total, unit=unit)
        else:
            self._context.heartbeat()

    def check_cancelled(self) -> None:
        """Never raises: an engine ends a task by signal."""


def worker_errors(entry: Callable[[TaskContext], JsonObject]) -> Callable[[TaskContext], JsonObject]:
    """Wrap a worker's entry: an error of the tree becomes the result `{"error": …}` instead of a traceback.

    The reader of the result raises it again with its class: `BedplateError.from_json(result["error"])`.
    """

    @functools.wraps(entry)
    def wrapped(context: TaskContext) -> JsonObject:
        try:
            return entry(context)
        except BedplateError as error:
            return {"error": plain(error.as_json())}

    return wrapped
