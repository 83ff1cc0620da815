"""What is to be run: tasks, the gangs that they start in, and what they need."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from bedplate.core.json import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What one task needs."""

    cpus: int = 1
    """Number of cores; the engine pins the task to them and sets thread counts to match."""
    memory_bytes: int | None = None
    """Upper limit of resident memory; a task that passes it is ended with cause `memory`. None: no limit."""
    cpu_milli: int | None = None
    """Upper limit of processor time over its cores, in thousandths of a core, as the kernel's control groups enforce it; an
    engine refuses it where it cannot. `memory_bytes` is then a hard limit too. None: its cores are the only limit."""
    accelerators: int = 0
    """Number of accelerators, made visible through the vendor's variable."""
    accelerator: str = "any"
    """Model wanted; `any` takes what there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One process of a gang."""

    entry: str
    """`package.module:function`; called with one `TaskContext`, returns a JSON object or None."""
    spec: JsonObject = field(default_factory=dict)
    """What to do, as JSON; the entry's own settings."""
    stores: Mapping[str, str] = field(default_factory=dict)
    """Stores by name as URLs; the worker opens them."""
    resources: Resources = field(default_factory=Resources)
    environment: Mapping[str, str] = field(default_factory=dict)
    """Environment variables, over those that the task has anyway: on one machine all of this process; on a cluster those of its
    node, and of this process what tunes communication libraries (`NCCL_…`; `engines/remote/environment.py`).
    """
    inherited: Mapping[str, int] = field(default_factory=dict)
    """Open file descriptors by name that the task receives; only engines on this machine can (`CanInheritDescriptors`)."""
    duration_s: float | None = None
    """How long the simulated engine lets the task run; real engines ignore it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gang:
    """Tasks that start together or not at all."""

    name: str
    """For people and log paths: letters, digits, `.`, `_`, `-`."""
    tasks: tuple[Task, ...]
    """One task per rank, in rank order."""
    heartbeat_timeout_s: float | None = None
    """A task that has sent a heartbeat and is then silent for this long is killed with cause `hung`. None: never."""
    node_labels: Mapping[str, str] = field(default_factory=dict)
    """Only nodes with these labels may carry the gang."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GangHandle:
    """A submitted gang; plain data, valid until the engine forgets the gang or is closed."""

    id: str
    """Unique in the engine's life: gang name and a running number."""
    name: str
    num_tasks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPlacement:
    """Where one task runs."""

    node: str
    """`Node.id`."""
    cores: tuple[int, ...]
    """Core ids, all different; as many as the task asks for."""
    devices: tuple[str, ...] = ()
    """`Device.id` of each accelerator; as many as the task asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a gang runs: what a scheduler decides and an engine carries out."""

    tasks: tuple[TaskPlacement, ...]
    """One entry per rank, in rank order."""


class TaskState(enum.StrEnum):
    """State of a task; the last three are final."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing follows."""
        return self in (TaskState.DONE, TaskState.FAILED, TaskState.CANCELLED)


class ExitCause(enum.StrEnum):
    """Why a task ended."""

    FINISHED = "finished"
    """Its entry returned."""
    ERROR = "error"
    """Its entry raised, or it exited with a code other than 0."""
    SIGNAL = "signal"
    """A signal that the engine did not send."""
    HUNG = "hung"
    """The engine killed it after silence longer than `heartbeat_timeout_s`."""
    MEMORY = "memory"
    """It passed its memory limit, or the kernel's OOM killer took it."""
    CANCELLED = "cancelled"
    """`cancel` or `close`."""
    NODE_LOST = "node-lost"
    """The machine under it went away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStatus:
    """What is known of one task."""

    rank: int
    state: TaskState
    node: str = ""
    cores: tuple[int, ...] = ()
    devices: tuple[str, ...] = ()
    pid: int | None = None
    exit_code: int | None = None
    """Process exit code; minus the signal number where a signal ended it."""
    cause: ExitCause | None = None
    message: str = ""
    """The last line of what went wrong, for people."""
    last_heartbeat_s: float | None = None
    """Time of its last heartbeat, progress or start."""
    result: JsonObject | None = None
    """What its entry returned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GangStatus:
    """A gang at one moment."""

    name: str
    tasks: tuple[TaskStatus, ...]

    @property
    def state(self) -> TaskState:
        """Failed if a task failed; else cancelled, waiting or running if one is; done when all are."""
        states = {task.state for task in self.tasks}
        for state in (TaskState.FAILED, TaskState.CANCELLED, TaskState.RUNNING, TaskState.WAITING):
            if state in states:
                return state
        return TaskState.DONE

    @property
    def is_final(self) -> bool:
        """Whether every task has ended."""
        return all(task.state.is_final for task in self.tasks)


class TaskEventKind(enum.StrEnum):
    """What an engine reports about a task."""

    STARTED = "started"
    PROGRESS = "progress"
    EXITED = "exited"
    NODE_LOST = "node-lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEvent:
    """Something that happened to a task."""

    sequence: int
    """Counts from 0 over all gangs of the engine; never reused."""
    gang: GangHandle
    kind: TaskEventKind
    at_s: float
    rank: int
    attributes: JsonObject = field(default_factory=dict)
    """progress: what the task reported. exited: `exit_code`, `cause`, `message`, `result`. node-lost: `node`."""
