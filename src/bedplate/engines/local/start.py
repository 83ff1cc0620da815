"""All processes of a gang, or none: its directory, its port, and a keeper for each task."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bedplate.core.control_groups import power, remove_abandoned
from bedplate.core.devices import Node
from bedplate.core.errors import UnavailableError, UsageError
from bedplate.core.workload import Gang, Placement
from bedplate.engines.local.files import new_directory
from bedplate.engines.local.launch import Launch, TaskProcess, start_task
from bedplate.engines.local.rendezvous import check_loopback, hold_rendezvous


@dataclass(frozen=True, slots=True, kw_only=True)
class GangPart:
    """What of a larger gang is started here: a gang over several machines is one part a machine."""

    ranks: tuple[int, ...]
    """Rank in the complete gang of each task of the part, in order."""
    world_size: int
    """Tasks of the complete gang."""
    rendezvous: str
    """`host:port` that is held for the complete gang."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedTasks:
    """Processes of a gang."""

    processes: tuple[TaskProcess, ...]
    """By rank."""
    directory: Path
    """Its name is unique under the engine's root."""
    rendezvous: socket.socket
    """The port that is held for it."""


def start_tasks(gang: Gang, placement: Placement, part: GangPart | None, root: Path, node: Node) -> StartedTasks:
    """Start every task of a gang; where one cannot be started, those before it end and nothing is left.

    Args:
        gang: The tasks.
        placement: Where each of them runs.
        part: Where they stand in a larger gang; None: they are all of it.
        root: The gang's directory is made here.
        node: All that the engine owns.

    Raises:
        UsageError: A descriptor that a task should inherit is not open.
        OSError: The machine refused a process or a file.
        UnavailableError: Its loopback interface is down, or a limit of processor time cannot be enforced here.
    """
    _check_descriptors(gang)
    _check_limits(gang)
    if part is None and len(gang.tasks) > 1:
        check_loopback()
    with ExitStack() as undo:
        directory = new_directory(root, gang.name)
        undo.callback(shutil.rmtree, directory, ignore_errors=True)
        rendezvous = undo.enter_context(hold_rendezvous())
        part = part or _complete(gang, rendezvous)
        processes: list[TaskProcess] = []
        for index in range(len(gang.tasks)):
            processes.append(start_task(_launch(gang, placement, part, index, directory, node)))
            undo.callback(processes[-1].close)  # end of file: its keeper ends what it may have started
        undo.pop_all()
    return StartedTasks(processes=tuple(processes), directory=directory, rendezvous=rendezvous)


def _complete(gang: Gang, rendezvous: socket.socket) -> GangPart:
    address = "{}:{}".format(*rendezvous.getsockname())
    return GangPart(ranks=tuple(range(len(gang.tasks))), world_size=len(gang.tasks), rendezvous=address)


def _launch(gang: Gang, placement: Placement, part: GangPart, index: int, directory: Path, node: Node) -> Launch:
    return Launch(
        gang=gang.name,
        index=index,
        rank=part.ranks[index],
        world_size=part.world_size,
        task=gang.tasks[index],
        place=placement.tasks[index],
        rendezvous=part.rendezvous,
        directory=directory,
        node=node,
    )


def _check_limits(gang: Gang) -> None:
    """A share of a core is given only where the kernel holds the task to it."""
    if all(task.resources.cpu_milli is None for task in gang.tasks):
        return
    able = power()
    if not (able.cpu and able.memory):
        raise UnavailableError(
            "this machine cannot hold a task to a share of a core",
            seen=able.why_not,
            expected="control groups that may be written",
            next_step="run as root or under 'systemd-run --user -p Delegate=yes', or ask for whole cores",
        )
    remove_abandoned()


def _check_descriptors(gang: Gang) -> None:
    for rank, task in enumerate(gang.tasks):
        _check_open(rank, task.inherited)


def _check_open(rank: int, inherited: Mapping[str, int]) -> None:
    for name, fd in inherited.items():
        try:
            os.fstat(fd)
        except OSError as error:
            raise UsageError(
                f"rank {rank}: descriptor '{name}' is not open",
                seen=f"{fd}: {error.strerror}",
                expected="a descriptor that stays open until submit returns",
            ) from error
