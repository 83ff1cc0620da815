"""From a placed task to a running one: launch words, descriptors, keeper."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bedplate.core.devices import DeviceRuntime, Node
from bedplate.core.errors import MessageError
from bedplate.core.json import JsonObject
from bedplate.core.messages import encode, from_bytes
from bedplate.core.workload import Task, TaskPlacement
from bedplate.engines.local.channel import Outcome
from bedplate.engines.local.environment import MARK_VARIABLE, task_environment
from bedplate.engines.local.files import log_path, scratch_path

_KEEPER = "import sys; sys.path.append(sys.argv.pop(1)); from bedplate.engines.local.keeper import main; main(sys.argv[1:])"
_PACKAGE_ROOT = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One task to be started, placed."""

    gang: str
    index: int
    """Position in the gang as this engine was given it; names the log and the scratch directory."""
    rank: int
    """Rank in the complete gang, which may run on more machines than this."""
    world_size: int
    task: Task
    place: TaskPlacement
    rendezvous: str
    directory: Path
    """Of the gang; the log and the scratch directory go there."""
    node: Node
    """All that the engine owns: accelerators that the task did not get are hidden from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskProcess:
    """A started task as the supervisor holds it."""

    keeper: subprocess.Popen[bytes]
    control: socket.socket
    """Commands to the keeper, reports from it."""
    channel: socket.socket
    """Heartbeats and progress from the task."""
    outcome_fd: int
    """Memory file that the task leaves its outcome in."""
    scratch: Path
    """Its scratch directory; the keeper removes it, or the process that finds the keeper dead."""
    mark: str
    """Environment entry that the task and all its descendants carry."""

    def command(self, words: JsonObject) -> None:
        """Send a command to the keeper; does nothing if it is gone."""
        try:
            self.control.send(json.dumps(words).encode())
        except OSError:
            return  # the keeper's end is being handled by the watch

    def outcome(self) -> Outcome:
        """What the task left; empty where it was killed before or while it wrote."""
        try:
            return from_bytes(Outcome, os.pread(self.outcome_fd, os.fstat(self.outcome_fd).st_size, 0))
        except MessageError:
            return Outcome()

    def close(self) -> None:
        """Release the descriptors and reap the keeper."""
        self.control.close()
        self.channel.close()
        os.close(self.outcome_fd)
        self.keeper.wait()


def start_task(launch: Launch) -> TaskProcess:
    """Start the keeper of one task, which starts the task.

    Raises:
        OSError: No process, descriptor or file could be had.
    """
    mark = f"{launch.gang}/{launch.rank}/{uuid.uuid4().hex}"
    with (
        ExitStack() as ours,
        ExitStack() as theirs,
    ):  # theirs is closed here once the keeper has it, ours only if it never got it
        control, keeper_control = _connection(ours, theirs)
        channel, task_channel = _connection(ours, theirs)
        outcome_fd = _memory_file("bedplate-outcome", ours)
        launch_fd = _memory_file("bedplate-launch", theirs)
        supervisor_fd = _own_pidfd(theirs)
        passed = [task_channel.fileno(), outcome_fd, *launch.task.inherited.values()]
        os.write(launch_fd, json.dumps(_launch_words(launch, launch_fd, passed)).encode())
        keeper = _start_keeper(launch, mark, [launch_fd, keeper_control.fileno(), supervisor_fd], passed)
        ours.pop_all()
    return TaskProcess(
        keeper=keeper,
        control=control,
        channel=channel,
        outcome_fd=outcome_fd,
        scratch=scratch_path(launch.directory, launch.index),
        mark=f"{MARK_VARIABLE}={mark}",
    )


def _start_keeper(launch: Launch, mark: str, own: Sequence[int], passed: Sequence[int]) -> subprocess.Popen[bytes]:
    """The keeper's process, with its own descriptors and those that it passes on to the task."""
    with log_path(launch.directory, launch.index).open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _KEEPER, str(_PACKAGE_ROOT), *map(str, own)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=task_environment(launch.task, launch.place, launch.node.devices, mark),
            pass_fds=[fd for fd in (*own, *passed) if fd >= 0],
            start_new_session=True,  # Ctrl-C at the terminal is for the supervisor alone
        )


def _connection(ours: ExitStack, theirs: ExitStack) -> tuple[socket.socket, socket.socket]:
    """Two joined ends that keep messages apart."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return ours.enter_context(near), theirs.enter_context(far)


def _memory_file(name: str, owner: ExitStack) -> int:
    fd = os.memfd_create(name)
    owner.callback(os.close, fd)
    return fd


def _launch_words(launch: Launch, launch_fd: int, passed: Sequence[int]) -> JsonObject:
    channel_fd, outcome_fd = passed[:2]
    scratch = scratch_path(launch.directory, launch.index)
    return {
        "keeper": {
            "argv": [sys.executable, "-P", "-m", "bedplate.engines.local.bootstrap", str(launch_fd)],
            "cores": launch.place.cores,
            "memory_bytes": launch.task.resources.memory_bytes,
            "cpu_milli": launch.task.resources.cpu_milli,
            "close": sorted(set(passed)),
            "scratch": str(scratch),
        },
        "task": {
            "entry": launch.task.entry,
            "channel": channel_fd,
            "outcome": outcome_fd,
            "context": {
                "gang": launch.gang,
                "rank": launch.rank,
                "world_size": launch.world_size,
                "rendezvous": launch.rendezvous,
                "spec": launch.task.spec,
                "stores": dict(launch.task.stores),
                "cores": launch.place.cores,
                "devices": launch.place.devices,
                "runtime": encode(_runtime(launch)),
                "descriptors": dict(launch.task.inherited),
                "scratch": str(scratch),
            },
        },
    }


def _runtime(launch: Launch) -> DeviceRuntime:
    """Of the accelerators that the task got, which are of one kind; else of the processors."""
    granted = [device for device in launch.node.devices if device.id in launch.place.devices]
    processors = [device for device in launch.node.devices if device.kind == "cpu"]
    return (granted or processors)[0].runtime


def _own_pidfd(owner: ExitStack) -> int:
    try:
        fd = os.pidfd_open(os.getpid())
    except OSError:
        return -1  # a kernel before 5.3: the control socket alone says that the supervisor is gone
    owner.callback(os.close, fd)
    return fd
