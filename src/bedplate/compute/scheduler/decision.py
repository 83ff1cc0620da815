"""What the scheduler decides. A decision is plain data: whoever asked carries it out, and tells the state what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from bedplate.compute.scheduler.job import Allocation, WorkerPlace


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A waiting job runs, there."""

    job_id: str
    allocation: Allocation
    reason: str
    """Why now and why there, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preempt:
    """A running job saves a checkpoint, ends, and waits again."""

    job_id: str
    beneficiary: str
    """Id of the job that gets its place."""
    grace_s: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrink:
    """An elastic job gives some of its places back and goes on."""

    job_id: str
    released: tuple[WorkerPlace, ...]
    beneficiary: str
    """Id of the job that gets them."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Grow:
    """An elastic job gets more places."""

    job_id: str
    added: tuple[WorkerPlace, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """A job that nothing here can ever run."""

    job_id: str
    reason: str
    nearest: str
    """The nearest request that could be met; empty if there is none."""


Decision: TypeAlias = Start | Preempt | Shrink | Grow | Refuse
