"""From what a job asks and a node has to what placement counts in: request classes, one a model, and nodes in arrays.

A job runs on one model, so a request that accepts several is one class for each of them. Memory of accelerators selects
models: a model whose devices, or the share of one that is asked for, hold less is not accepted; one whose memory nobody knows
neither, if any memory is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from bedplate.compute.scheduler.job import WHOLE, Job, Request
from bedplate.compute.scheduler.placement.cluster import Cluster
from bedplate.compute.scheduler.placement.request import Node, RequestClass
from bedplate.compute.scheduler.tenants import DeviceType
from bedplate.core.devices import Device, HealthState
from bedplate.core.devices import Node as Machine

MIB = 2**20
NO_MODEL = ""
"""Model of nodes and requests without accelerators."""
PATH_LABELS = ("pod", "rack", "leaf")
"""Labels of nodes that say where they hang in the network, from the outside in."""
Speed: TypeAlias = Callable[[str, str], float]
"""(kind of job, model) -> relative speed, above 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to run a worker: on that model."""

    model: str
    item: int
    """Index of its class in the cluster."""
    need: RequestClass


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """All that decides where and how jobs fit: jobs of one shape fit or do not fit together."""

    request: Request
    variants: tuple[Variant, ...]
    """In the order in which they are preferred: by duration, then as the job says."""
    speed: Mapping[str, float]
    """Relative speed by the model of each variant."""
    any_item: int
    """Index of the class that accepts all of its models: what a policy learns from."""

    def variant(self, model: str) -> Variant | None:
        """The variant on a model; None if the jobs do not accept it, or it is not there."""
        return next((variant for variant in self.variants if variant.model == model), None)

    def speed_on(self, model: str) -> float:
        """Relative speed on a model; 1.0 if there is no such variant."""
        return self.speed.get(model, 1.0)


def accelerators(machine: Machine) -> tuple[Device, ...]:
    """Devices of a node other than CPUs; a `WorkerPlace` names them by their positions in this."""
    return tuple(device for device in machine.devices if device.kind != "cpu")


def cluster_node(machine: Machine) -> Node:
    """A node as placement sees it. Devices that failed are in it; the state makes them unusable."""
    models = tuple(device.model for device in accelerators(machine))
    return Node(
        name=machine.id,
        cpu_milli=machine.num_cores * 1000,
        memory_mib=machine.memory_bytes // MIB,
        num_devices=len(models),
        model=models[0] if models else NO_MODEL,
        device_models=models if len(set(models)) > 1 else (),
        path=tuple(machine.labels[label] for label in PATH_LABELS if label in machine.labels),
    )


def failed_devices(machine: Machine) -> tuple[int, ...]:
    """Positions of accelerators that must not be given work."""
    return tuple(at for at, device in enumerate(accelerators(machine)) if device.health.state is HealthState.FAILED)


class Catalog:
    """Which models there are, and the shapes of jobs; has one owner, the state."""

    def __init__(self, cluster: Cluster, types: Iterable[DeviceType], speed: Speed | None) -> None:
        self._cluster = cluster
        self.types = {item.model: item for item in types}
        self._speed = speed
        self._memory: dict[str, int] = {model: item.memory_bytes for model, item in self.types.items()}
        self._shapes: dict[object, Shape] = {}
        self._met: dict[tuple[int, str], Shape] = {}
        """By the identity of the request that a shape keeps: jobs often share one."""
        self._num_models = -1

    @property
    def units(self) -> Mapping[str, float]:
        """Equivalence units by model."""
        return {model: item.units for model, item in self.types.items()}

    def describe(self, types: Iterable[DeviceType]) -> None:
        """Know these models, which no node that is there has."""
        for item in types:
            self.types[item.model] = item
            self._memory[item.model] = item.memory_bytes

    def learn(self, machine: Machine) -> None:
        """Know the models of a node; of one that no device type describes, the least memory that was seen."""
        for device in accelerators(machine):
            described = self.types.get(device.model)
            if (described is None or not described.memory_bytes) and device.memory_bytes:
                known = self._memory.get(device.model) or device.memory_bytes
                self._memory[device.model] = min(known, device.memory_bytes)

    def speed_of(self, kind: str, model: str) -> float:
        """Relative speed of a kind of job on a model; 1.0 where nothing is known."""
        if not model:
            return 1.0
        if self._speed is not None:
            return self._speed(kind, model)
        described = self.types.get(model)
        return described.speed.get(kind, 1.0) if described else 1.0

    def shape_of(self, job: Job) -> Shape:
        """The shape of a job; the same object for all jobs of one shape, as long as no new model comes."""
        if self._num_models != len(self._cluster.models):
            self.forget_speeds()
            self._num_models = len(self._cluster.models)
        request = job.request
        by_identity = (id(request), job.kind)
        if (met := self._met.get(by_identity)) is not None and met.request is request:
            return met
        key = (
            (job.kind, request.workers, request.min_workers, request.is_gang, request.topology),
            (request.devices, request.share_milli, request.accelerators, request.device_memory_bytes),
            (request.cpu_milli, request.memory_bytes, tuple(sorted(request.labels.items()))),
        )
        if (known := self._shapes.get(key)) is None:
            known = self._shapes[key] = self._make(job.kind, request)
            self._met[by_identity] = known
        return known

    def forget_speeds(self) -> None:
        """Speeds changed: shapes are made anew."""
        self._shapes.clear()
        self._met.clear()

    def accepted(self, request: Request) -> tuple[str, ...]:
        """Models of the cluster that a request accepts, preferred ones first."""
        if not request.devices:
            return (NO_MODEL,)
        there = tuple(sorted(model for model in self._cluster.models if model))
        named = (model for word in request.accelerators for model in there if model.casefold() == word.casefold())
        wanted = tuple(dict.fromkeys(named)) if request.accelerators else there
        return tuple(model for model in wanted if self.has_memory(request, model))

    def has_memory(self, request: Request, model: str) -> bool:
        """Whether a device of that model, or the share that is asked for, has enough memory."""
        return self._memory.get(model, 0) * request.share_milli >= request.device_memory_bytes * WHOLE

    def _make(self, kind: str, request: Request) -> Shape:
        models = self.accepted(request)
        is_ranked = bool(request.accelerators)
        ranked = sorted(
            (1 / self.speed_of(kind, model), at if is_ranked else 0, self._unit(model), model)
            for at, model in enumerate(models)
        )
        together = request_class(request, tuple(sorted(models)) if request.devices else ())
        return Shape(
            request,
            tuple(variant_of(self._cluster, request, model) for *_, model in ranked),
            {model: 1 / slowness for slowness, *_, model in ranked},
            self._cluster.class_of(together),
        )

    def _unit(self, model: str) -> float:
        described = self.types.get(model)
        return described.units if described else 1.0


def variant_of(cluster: Cluster, request: Request, model: str) -> Variant:
    """A request on a model; of work on CPUs only, `NO_MODEL`."""
    need = request_class(request, (model,) if model else ())
    return Variant(model=model, item=cluster.class_of(need), need=need)


def request_class(request: Request, models: tuple[str, ...]) -> RequestClass:
    """What one worker needs, on one of `models`."""
    return RequestClass(
        cpu_milli=request.cpu_milli,
        memory_mib=-(-request.memory_bytes // MIB),
        num_devices=request.devices,
        share_milli=request.share_milli if request.devices else 0,
        models=models,
    )


def fewest(request: Request) -> int:
    """Workers without which it does not start: one, where they need not start together."""
    return request.fewest if request.is_gang else 1
