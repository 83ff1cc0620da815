"""What the jobs of a file need: the `needs` key.

Worker processes are what a job consists of. Where it runs on accelerators, each worker has one: `count` says how many, and
`min` with how few it can do; they are `workers.want` and `workers.min` in the words of devices, as `cpu_per_device` is
`cpus_per_worker`. Both may be given only where they say the same. What a job is entitled to and how urgent it is (`tenant`,
`priority`, …), and where its workers may lie, does not change what comes out, so it does not make another run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Literal

from bedplate.compute.capacity.following import Following
from bedplate.core.errors import UsageError
from bedplate.core.settings import Operational, Range, about_setting, settings
from bedplate.core.units import ByteCount, Count, Duration, Fraction

ANY, CPU = "any", "cpu"


@settings
class Workers:
    """How many worker processes a job gets."""

    want: Annotated[Count, Range(1)] = 1
    """Number that is started when the machine has it."""
    min: Annotated[Count, Range(1)] = 1
    """Fewest workers that the job can run with."""

    def __post_init__(self) -> None:
        if self.min > self.want:
            raise UsageError("'min' is above 'want'", seen=f"min {self.min}, want {self.want}", expected="min <= want")


_NOT_GIVEN = Workers()


@settings
class Needs:
    """What the jobs of a file need: the `needs` key."""

    workers: Workers = _NOT_GIVEN
    """Worker processes of a gang."""
    accelerator: tuple[str, ...] | str = ANY
    """Kind of device of each worker: a model, family, vendor or backend, a list of them, the best one first (`[H100, 910B]`),
    or `cpu`. `any` takes accelerators of a kind that bedplate has run jobs on where enough are free, else processors; for the
    service, `any` means accelerators only where `count` says how many. One job runs on one model."""
    count: Annotated[Count, Range(1)] | None = None
    """Accelerators of the job; each has a worker of its own. Without it, `workers` says how many workers there are."""
    min: Annotated[Count, Range(1)] | None = None
    """Fewest accelerators that the job can run with; as many as `count` when it is not given."""
    cpus_per_worker: Annotated[Count, Range(1)] = 1
    """Cores of each worker."""
    cpu_per_device: Annotated[Count, Range(1)] | None = None
    """Cores beside each accelerator: `cpus_per_worker` of a job with `count`."""
    memory: Annotated[ByteCount, Range(0)] | None = None
    """Memory that each accelerator must have (of a shared one: its share); without accelerators, host memory of each worker."""
    share: Annotated[Fraction, Range(0.001, 1)] = 1.0
    """Part of its accelerator that each worker takes: `50%`. It is a logical share: nothing here enforces it."""
    gang: Annotated[bool, Operational()] = True
    """Whether the workers start together or not at all."""
    topology: Annotated[Literal["any", "same-leaf", "same-node"], Operational()] = "any"
    """How near to each other they must be."""
    labels: Annotated[Mapping[str, str], Operational()] = field(default_factory=dict)
    """Only nodes with these labels."""
    replicas: Annotated[Following | None, Operational()] = None
    """The job is a service: each worker is a replica, and their number follows the load that is reported for the job (metric
    `load`, or `POST /v1/jobs/ID/load`). For the service of bedplate; without one there are the fewest."""
    tenant: Annotated[str | None, Operational()] = None
    """Whose quota is used: a path like `research/vision`; the user's own tenant when it is not given. For the service."""
    priority: Annotated[int, Range(-1000, 1000), Operational()] = 0
    """Higher goes first, and may take the place of lower. For the service."""
    expected: Annotated[Duration | None, Operational()] = None
    """How long the job is expected to run with all its workers: short ones may fill gaps. For the service."""
    deadline: Annotated[Duration | None, Operational()] = None
    """When it should have ended, counted from its submission. For the service."""
    preemptible: Annotated[bool, Operational()] = True
    """Whether it may be asked to save a checkpoint, end, and wait again. For the service."""
    grace: Annotated[Duration, Range(0), Operational()] = 30.0
    """How long it is then given. For the service."""
    kind: Annotated[str, Operational()] = "training"
    """What its speed on a model of accelerators is looked up by: `training`, `inference`, `science`. For the service."""

    def __post_init__(self) -> None:
        if self.replicas is not None:
            self._check_replicas(self.replicas)
        if self.count is None:
            self._refuse_without_count()
            return
        with about_setting("accelerator"):
            if CPU in self.words:
                seen = f"count {self.count}, accelerator {', '.join(self.words)}"
                raise contradiction("accelerator", "count", seen)
        fewest = self.count if self.min is None else self.min
        with about_setting("min"):
            if fewest > self.count:
                raise UsageError("'min' is above 'count'", seen=f"min {fewest}, count {self.count}", expected="min <= count")
        workers = Workers(want=self.count, min=fewest)
        if self.workers is not _NOT_GIVEN and self.workers != workers:
            seen = f"workers {{want: {self.workers.want}, min: {self.workers.min}}}, count {self.count}, min {fewest}"
            raise contradiction("workers", "count", seen)
        cores = self.cpu_per_device or self.cpus_per_worker
        if self.cpus_per_worker not in (1, cores):
            raise contradiction(
                "cpus_per_worker", "cpu_per_device", f"cpus_per_worker {self.cpus_per_worker}, cpu_per_device {cores}"
            )
        object.__setattr__(self, "workers", workers)
        object.__setattr__(self, "cpus_per_worker", cores)

    @property
    def words(self) -> tuple[str, ...]:
        """Kinds of devices that will do, the best one first."""
        return (self.accelerator,) if isinstance(self.accelerator, str) else self.accelerator

    @property
    def has_accelerators(self) -> bool:
        """Whether each worker must have an accelerator."""
        return self.count is not None or not {ANY, CPU} & set(self.words)

    def _check_replicas(self, replicas: Following) -> None:
        fewest = Workers(want=replicas.least, min=replicas.least)
        for name, is_given in (("count", self.count is not None), ("workers", self.workers not in (_NOT_GIVEN, fewest))):
            with about_setting(name):
                if is_given:
                    raise contradiction("replicas", name, f"replicas {replicas.least} to {replicas.most}, and {name}")
        object.__setattr__(self, "workers", fewest)
        object.__setattr__(self, "gang", False)

    def _refuse_without_count(self) -> None:
        given = {
            "min": self.min is not None,
            "cpu_per_device": self.cpu_per_device is not None,
            "share": self.share != 1.0 and not self.has_accelerators,
        }
        for name, is_given in given.items():
            with about_setting(name):
                if is_given:
                    raise UsageError(
                        f"'{name}' is about accelerators, and the job asks for none",
                        seen=f"{name}: {getattr(self, name)}",
                        expected="'count' beside it: how many accelerators the job wants",
                        next_step="add 'count', or describe the job by 'workers' and 'cpus_per_worker'",
                    )


def contradiction(one: str, other: str, seen: str) -> UsageError:
    """Two keys that say different things about the same."""
    return UsageError(
        f"'{one}' and '{other}' contradict each other",
        seen=seen,
        expected="both the same, or only one of them",
        next_step=f"remove '{one}' or '{other}'",
    )
