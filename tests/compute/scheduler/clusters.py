"""Small clusters and jobs for tests of the scheduler."""

from __future__ import annotations

from typing import Any

from bedplate.compute.scheduler.job import Job, Request
from bedplate.core.devices import Device, Node

GIB = 2**30


def make_node(name: str, devices: int = 8, model: str = "H100", cores: int = 64, memory_gib: int = 512, **labels: str) -> Node:
    """A node with one CPU and accelerators of one model."""
    cpu = Device(id="cpu:0", kind="cpu", vendor="x", model="cpu", memory_bytes=memory_gib * GIB, cores=tuple(range(cores)))
    gpus = tuple(Device(id=f"gpu:{at}", kind="gpu", vendor="x", model=model, memory_bytes=80 * GIB) for at in range(devices))
    return Node(id=name, devices=(cpu, *gpus), memory_bytes=memory_gib * GIB, labels=labels)


def make_job(name: str, tenant: str = "a", at: float = 0.0, **more: Any) -> Job:
    """A job of one worker with one accelerator; words of `Request` and of `Job` change that."""
    known = {"devices": 1, "cpu_milli": 1000}
    request = {key: more.pop(key) for key in list(more) if key in Request.__dataclass_fields__}
    return Job(id=name, name=name, tenant=tenant, user="u", request=Request(**{**known, **request}), submitted_s=at, **more)
