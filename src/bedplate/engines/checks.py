"""Checks of a gang that hold for every engine."""

from __future__ import annotations

import re

from bedplate.core.errors import UsageError
from bedplate.core.json import canonical
from bedplate.core.workload import Gang

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def check_gang(gang: Gang) -> None:
    """Refuse a gang that no engine could run.

    Raises:
        UsageError: No tasks, a name that does not fit a path, a malformed entry, cpus below 1, a spec that is not JSON.
    """
    if not gang.tasks:
        raise UsageError(f"gang '{gang.name}' has no tasks", expected="one task per rank")
    if not _NAME.fullmatch(gang.name):
        raise UsageError("invalid gang name", seen=repr(gang.name), expected="letters, digits, '.', '_', '-'")
    for rank, task in enumerate(gang.tasks):
        if task.entry.count(":") != 1 or not all(task.entry.split(":")):
            raise UsageError(f"rank {rank}: invalid entry", seen=repr(task.entry), expected="package.module:function")
        if task.resources.cpus < 1 or task.resources.accelerators < 0:
            raise UsageError(
                f"rank {rank}: a task needs at least one core",
                seen=task.resources,
                expected="cpus of 1 or more, accelerators of 0 or more",
            )
        try:
            canonical({"spec": task.spec, "stores": task.stores})
        except (TypeError, ValueError) as error:
            raise UsageError(
                f"rank {rank}: the spec is not JSON", seen=error, expected="numbers, text, lists, mappings"
            ) from error


def refuse_descriptors(gang: Gang, engine: str) -> None:
    """Refuse a gang that wants what needs one kernel, where tasks run elsewhere or not at all.

    Raises:
        UsageError: A task inherits descriptors.
    """
    for rank, task in enumerate(gang.tasks):
        if task.inherited:
            raise UsageError(
                f"rank {rank}: the engine '{engine}' cannot pass open descriptors to its tasks",
                seen=", ".join(task.inherited),
                expected="a gang without inherited descriptors, or the local engine",
            )
