"""Jobs with durations, as the simulator replays them, and what a file held that cannot be replayed."""

from __future__ import annotations

import enum
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from bedplate.compute.scheduler.job import WHOLE, Job, Request, Topology
from bedplate.core.errors import CheckFailedError, ConfigurationError, UsageError


class Outcome(enum.StrEnum):
    """How a job ended where it was recorded. It runs as long in the simulator, and ends in the same way."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class LeftOut(enum.StrEnum):
    """Why a job of a file is not replayed."""

    NEVER_STARTED = "never started"
    NOT_FINISHED = "not finished: it has no end"
    NO_SUBMISSION = "no time of submission"
    WRONG_ORDER = "times in the wrong order"
    DISAGREEING = "duration and times disagree"
    DUPLICATE = "an id that was there already"
    NEEDS_NOTHING = "needs neither CPU nor accelerator"


ZONELESS = "times without a zone are read as UTC: across a change of the clocks they are an hour off"
"""A note on formats whose times are local."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedJob:
    """One job of a trace."""

    job: Job
    """`submitted_s` is counted from the first submission of the trace."""
    duration_s: float
    """How long it runs with all its workers on the first model that it accepts; on any of speed 1.0 if it accepts all."""
    outcome: Outcome = Outcome.COMPLETED

    @property
    def device_s(self) -> float:
        """Accelerator-seconds that it asks for, shares counted as shares."""
        return self.job.request.workers * self.job.request.device_milli / WHOLE * self.duration_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Jobs by time of submission, and an account of the rest."""

    source: str
    """File, or the words that it was generated from."""
    format: str
    jobs: tuple[TracedJob, ...]
    left_out: Mapping[LeftOut, int]
    """Number of jobs by reason; none is left out without one."""
    examples: Mapping[LeftOut, str]
    """`FILE:LINE` of the first job of each reason."""
    notes: tuple[str, ...] = ()
    """What the format does not say, and what was assumed instead."""

    @property
    def num_left_out(self) -> int:
        """Jobs that are not replayed."""
        return sum(self.left_out.values())

    @property
    def summary(self) -> str:
        """`812 jobs read (helios), 3 left out: 2 never started (jobs.csv:7), 1 …`."""
        reasons = [f"{count} {reason.value} ({self.examples[reason]})" for reason, count in sorted(self.left_out.items())]
        left_out = f", {self.num_left_out} left out: {', '.join(reasons)}" if reasons else ""
        return f"{len(self.jobs)} jobs read ({self.format}){left_out}"

    def check_left_out(self, most_frac: float) -> None:
        """Raise CheckFailedError where more than `most_frac` of the jobs is left out, or all of them."""
        total = len(self.jobs) + self.num_left_out
        if not self.jobs or self.num_left_out > most_frac * total:
            raise CheckFailedError(
                "too much of the trace cannot be replayed",
                seen=f"{self.source}: {self.summary}",
                expected=f"at least one job, and at most {most_frac:.0%} left out",
                next_step="check the file and its format, or allow more: --most-left-out 50%",
            )


class TraceBuilder:
    """Collects jobs from a reader, in any order. Requests that are equal become one object, so that lookups are quick."""

    def __init__(self, source: str, format_name: str) -> None:
        self._source, self._format = source, format_name
        self._jobs: list[TracedJob] = []
        self._ids: set[str] = set()
        self._requests: dict[object, Request] = {}
        self._left_out: dict[LeftOut, int] = {}
        self._examples: dict[LeftOut, str] = {}

    def leave_out(self, reason: LeftOut, place: str) -> None:
        """Count a job that cannot be replayed."""
        self._left_out[reason] = self._left_out.get(reason, 0) + 1
        self._examples.setdefault(reason, place)

    def add(self, job: Job, duration_s: float, place: str, outcome: Outcome = Outcome.COMPLETED) -> None:
        """Take a job, unless there is a reason not to."""
        if job.id in self._ids:
            self.leave_out(LeftOut.DUPLICATE, place)
        elif duration_s < 0:
            self.leave_out(LeftOut.WRONG_ORDER, place)
        elif not job.request.device_milli and not job.request.cpu_milli:
            self.leave_out(LeftOut.NEEDS_NOTHING, place)
        else:
            self._ids.add(job.id)
            self._jobs.append(TracedJob(job=job, duration_s=duration_s, outcome=outcome))

    def request(
        self,
        place: str,
        *,
        workers: int = 1,
        min_workers: int | None = None,
        is_gang: bool = True,
        devices: int = 0,
        share_milli: int = WHOLE,
        accelerators: Iterable[str] = (),
        device_memory_bytes: int = 0,
        cpu_milli: int = 0,
        memory_bytes: int = 0,
        topology: Topology = Topology.ANY,
    ) -> Request:
        """The request with these fields.

        Raises:
            ConfigurationError: There cannot be such a request; with its place.
        """
        models = tuple(accelerators)
        share_milli = share_milli if devices else WHOLE
        key = (
            workers, min_workers, is_gang, devices, share_milli, models, device_memory_bytes, cpu_milli, memory_bytes, topology,
        )  # fmt: skip
        if (known := self._requests.get(key)) is not None:
            return known
        try:
            made = Request(
                workers=workers,
                min_workers=min_workers,
                is_gang=is_gang,
                devices=devices,
                share_milli=share_milli,
                accelerators=models,
                device_memory_bytes=device_memory_bytes,
                cpu_milli=cpu_milli,
                memory_bytes=memory_bytes,
                topology=topology,
            )
        except UsageError as error:
            raise ConfigurationError(error.what, seen=f"{place}: {error.seen}", expected=error.expected) from error
        return self._requests.setdefault(key, made)

    def finished(self, notes: Iterable[str] = ()) -> Trace:
        """The trace, its first submission at 0."""
        jobs = sorted(self._jobs, key=lambda traced: traced.job.submitted_s)
        first_s = jobs[0].job.submitted_s if jobs else 0.0
        if first_s:
            jobs = [_earlier(traced, first_s) for traced in jobs]
        return Trace(
            source=self._source,
            format=self._format,
            jobs=tuple(jobs),
            left_out=self._left_out,
            examples=self._examples,
            notes=tuple(notes),
        )


def divided(devices: int, nodes: int) -> tuple[int, int]:
    """Workers, and devices of each, of a job that had `devices` on `nodes`: one worker a node, or one a device if uneven."""
    if nodes < 1 or devices % nodes:
        return max(devices, 1), min(devices, 1)
    return nodes, devices // nodes


def shared_text(text: str) -> str:
    """The same object for the same text: users and tenants are few, jobs many."""
    return sys.intern(text)


def _earlier(traced: TracedJob, by_s: float) -> TracedJob:
    job = traced.job
    deadline_s = None if job.deadline_s is None else job.deadline_s - by_s
    return replace(traced, job=replace(job, submitted_s=job.submitted_s - by_s, deadline_s=deadline_s))
