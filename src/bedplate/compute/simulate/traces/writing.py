"""Writes a trace in our own format, so that it can be kept, changed and read again."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from bedplate.compute.scheduler.job import WHOLE
from bedplate.compute.simulate.traces import own
from bedplate.compute.simulate.traces.trace import Trace, TracedJob
from bedplate.core.files import write_file


def write_own(trace: Trace, file: Path) -> None:
    """Write a trace so that `own.read_own` reads the same jobs; what is in `file` is replaced."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*own.COLUMNS, *own.OPTIONAL))
    writer.writerows(_cells(traced) for traced in trace.jobs)
    write_file(file, text.getvalue())


def _cells(traced: TracedJob) -> tuple[object, ...]:
    job, request = traced.job, traced.job.request
    return (
        job.id,
        repr(job.submitted_s),
        repr(traced.duration_s),
        job.name,
        job.tenant,
        job.user,
        job.kind,
        request.workers,
        _or_nothing(request.min_workers),
        str(request.is_gang).lower(),
        request.devices,
        request.share_milli / WHOLE,
        "|".join(request.accelerators),
        request.device_memory_bytes,
        request.cpu_milli / WHOLE,
        request.memory_bytes,
        request.topology.value,
        job.priority,
        _or_nothing(job.deadline_s),
        _or_nothing(job.expected_s),
        str(job.is_preemptible).lower(),
        repr(job.grace_s),
        traced.outcome.value,
    )


def _or_nothing(value: float | None) -> str:
    return "" if value is None else repr(value)
