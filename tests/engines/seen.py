"""What a task sees of where it runs, as the entry `describe` reports it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bedplate.core.json import JsonObject
from bedplate.core.messages import decode
from bedplate.core.workload import TaskStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The task's context and its process."""

    gang: str
    rank: int
    world_size: int
    rendezvous: str
    spec: JsonObject
    stores: Mapping[str, str]
    cores: tuple[int, ...]
    devices: tuple[str, ...]
    scratch: str
    scratch_entries: tuple[str, ...]
    affinity: tuple[int, ...]
    environment: Mapping[str, str]
    cpu_s: float


def seen_by(task: TaskStatus) -> Seen:
    """What a task saw whose entry was `describe`."""
    return decode(Seen, result_of(task))


def result_of(task: TaskStatus) -> JsonObject:
    """What the entry returned; it must have returned something."""
    assert task.result is not None, task
    return task.result
