"""Checks of a gang that hold for every engine."""

from __future__ import annotations

import re

from bedplate.core.control_groups import MIN_CPU_MILLI
from bedplate.core.errors import UsageError
from bedplate.core.json import canonical
from bedplate.core.workload import Gang, Task

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_VARIABLE = re.compile(r"[^=\0]+")
_MAX_VALUE = 100_000
"""Characters of an environment variable; Linux refuses 128 KiB."""


def check_gang(gang: Gang) -> None:
    """Refuse a gang that no engine could run.

    Raises:
        UsageError: No tasks, a name that does not fit a path, a malformed entry, cpus below 1, a spec that is not JSON, or
            environment variables that no process can have.
    """
    if not gang.tasks:
        raise UsageError(f"gang '{gang.name}' has no tasks", expected="one task per rank")
    if not _NAME.fullmatch(gang.name):
        raise UsageError(
            "invalid gang name",
            seen=repr(gang.name[:80]),
            expected="up to 200 letters, digits, '.', '_', '-', and a letter or digit first",
        )
    for rank, task in enumerate(gang.tasks):
        _check_task(rank, task)


def _check_task(rank: int, task: Task) -> None:
    if task.entry.count(":") != 1 or not all(task.entry.split(":")):
        raise UsageError(f"rank {rank}: invalid entry", seen=repr(task.entry), expected="package.module:function")
    if task.resources.cpus < 1 or task.resources.accelerators < 0:
        raise UsageError(
            f"rank {rank}: a task needs at least one core",
            seen=task.resources,
            expected="cpus of 1 or more, accelerators of 0 or more",
        )
    limit = task.resources.cpu_milli
    if limit is not None and not MIN_CPU_MILLI <= limit <= 1000 * task.resources.cpus:
        raise UsageError(
            f"rank {rank}: no such limit of processor time",
            seen=f"{limit} thousandths of a core, on {task.resources.cpus} cores",
            expected=f"{MIN_CPU_MILLI} to {1000 * task.resources.cpus}",
        )
    try:
        canonical({"spec": task.spec, "stores": task.stores}).encode()
    except (TypeError, ValueError) as error:
        raise UsageError(f"rank {rank}: the spec is not JSON", seen=error, expected="numbers, text, lists, mappings") from error
    for name, value in task.environment.items():
        _check_variable(rank, name, value)


def _check_variable(rank: int, name: object, value: object) -> None:
    is_possible = isinstance(name, str) and isinstance(value, str) and _VARIABLE.fullmatch(name) and "\0" not in value
    if not is_possible or len(str(value)) > _MAX_VALUE or not _is_utf8(f"{name}{value}"):
        raise UsageError(
            f"rank {rank}: invalid environment variable {name!r}",
            seen=repr(value)[:80],
            expected=f"a name without '=', and text of up to {_MAX_VALUE} characters without NUL",
        )


def _is_utf8(text: str) -> bool:
    return text.encode(errors="replace").decode() == text


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
