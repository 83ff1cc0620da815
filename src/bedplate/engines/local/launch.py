"""From a placed task to a running one: environment, launch words, descriptors, keeper.

Import path: the child gets this process's `sys.path` (without the standard library and site-packages, which its own
interpreter finds) as PYTHONPATH, so an entry that can be imported here can be imported there. `-P` keeps the working directory
out of it.

Rendezvous: each gang gets a port of 127.0.0.1 that the engine holds bound, with SO_REUSEADDR and without listening, for the
life of the gang. Linux then gives this port to nobody who asks for a free one, while rank 0 may bind it by number and listen,
with SO_REUSEADDR (torch's TCPStore, asyncio, socketserver and uvicorn all set it). So there is no moment at which two gangs,
of one engine or of two, can get the same port.
"""

from __future__ import annotations

import itertools
import json
import os
import site
import socket
import subprocess
import sys
import sysconfig
import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bedplate.core.devices import Device, Node
from bedplate.core.errors import MessageError, UnavailableError
from bedplate.core.json import JsonObject
from bedplate.core.messages import from_bytes
from bedplate.core.workload import Task, TaskPlacement
from bedplate.engines.local.channel import Outcome

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_KEEPER = "import sys; sys.path.append(sys.argv.pop(1)); from bedplate.engines.local.keeper import main; main(sys.argv[1:])"
_PACKAGE_ROOT = Path(__file__).parents[3]
_MARK = "BEDPLATE_TASK"


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
        arguments = [_PACKAGE_ROOT, launch_fd, keeper_control.fileno(), supervisor_fd]
        log = theirs.enter_context(log_path(launch.directory, launch.index).open("wb"))
        keeper = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _KEEPER, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=task_environment(launch, mark),
            pass_fds=[fd for fd in (launch_fd, keeper_control.fileno(), supervisor_fd, *passed) if fd >= 0],
            start_new_session=True,  # Ctrl-C at the terminal is for the supervisor alone
        )
        ours.pop_all()
    return TaskProcess(
        keeper=keeper,
        control=control,
        channel=channel,
        outcome_fd=outcome_fd,
        scratch=scratch_path(launch.directory, launch.index),
        mark=f"{_MARK}={mark}",
    )


def new_directory(root: Path, name: str) -> Path:
    """`root/NAME-N` with the first free N: making it is what reserves it, also between engines."""
    for number in itertools.count(1):
        directory = root / f"{name}-{number}"
        try:
            directory.mkdir()
            return directory
        except FileExistsError:
            continue
    raise AssertionError("count() does not end")


def log_path(directory: Path, rank: int) -> Path:
    """Where the stdout and stderr of a rank go."""
    return directory / f"rank-{rank}.log"


def scratch_path(directory: Path, rank: int) -> Path:
    """The scratch directory of a rank."""
    return directory / f"scratch-{rank}"


def task_environment(launch: Launch, mark: str) -> dict[str, str]:
    """This process's environment, and what the task must see differently; `Task.environment` has the last word."""
    threads = str(len(launch.place.cores))
    return {
        **os.environ,
        **dict.fromkeys(_THREAD_VARIABLES, threads),
        **_device_masks(launch.node.devices, launch.place.devices),
        "PYTHONPATH": os.pathsep.join(import_path()),
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
        **launch.task.environment,
        _MARK: mark,
    }


def import_path() -> list[str]:
    """`sys.path` of this process without what any interpreter finds by itself."""
    own = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib")} | {
        *site.getsitepackages(),
        site.getusersitepackages(),
    }
    paths = [str(Path(entry).resolve()) for entry in sys.path]
    zipped = f"python{sys.version_info.major}{sys.version_info.minor}.zip"
    kept = [entry for entry in paths if entry not in own and Path(entry).name not in (zipped, "lib-dynload")]
    return list(dict.fromkeys(kept))


def check_loopback() -> None:
    """Refuse to start processes that could not reach one another.

    With the interface down a port of 127.0.0.1 can be bound, but not connected to.

    Raises:
        UnavailableError: The loopback interface is down.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("127.0.0.1", 9))  # sends nothing: it only looks for a route
        except OSError as error:
            raise UnavailableError(
                "the processes of a gang could not reach one another: the loopback interface is down",
                seen=f"127.0.0.1: {error.strerror}",
                expected="interface lo, up",
                next_step="ip link set lo up",
            ) from error


def hold_rendezvous(host: str = "127.0.0.1") -> socket.socket:
    """A port of `host`, bound so that nobody else is given it, and not listening so that rank 0 can."""
    holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind((host, 0))
    return holder


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
                "descriptors": dict(launch.task.inherited),
                "scratch": str(scratch),
            },
        },
    }


def _device_masks(owned: Sequence[Device], granted: Sequence[str]) -> Mapping[str, str]:
    """Visibility variables that show the granted devices and hide the others that the engine owns.

    A variable of a vendor that the engine owns nothing of is left as it is.
    """
    masks: dict[str, list[str]] = {}
    for device in owned:
        if device.visibility is not None:
            words = masks.setdefault(device.visibility.variable, [])
            words += [device.visibility.word] if device.id in granted else []
    return {variable: ",".join(words) for variable, words in masks.items()}


def _own_pidfd(owner: ExitStack) -> int:
    try:
        fd = os.pidfd_open(os.getpid())
    except OSError:
        return -1  # a kernel before 5.3: the control socket alone says that the supervisor is gone
    owner.callback(os.close, fd)
    return fd
