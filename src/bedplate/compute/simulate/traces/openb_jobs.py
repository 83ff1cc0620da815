"""Reader of openb pods as jobs: those of the trace that have times.

A pod runs from `scheduled_time` to `deletion_time`, seconds since the start of the trace. There are no tenants in it; the class
of service (`qos`) becomes the kind of the job.

Source: Alibaba cluster-trace-gpu-v2023.
"""

from __future__ import annotations

from pathlib import Path

from bedplate.compute.scheduler.job import WHOLE, Job
from bedplate.compute.simulate.openb import POD_COLUMNS, models_of
from bedplate.compute.simulate.traces.columns import Row, Table
from bedplate.compute.simulate.traces.trace import LeftOut, Outcome, Trace, TraceBuilder, shared_text

COLUMNS = (*POD_COLUMNS, "creation_time", "deletion_time", "scheduled_time")
_MIB = 1 << 20
_OUTCOMES = {"Failed": Outcome.FAILED}


def read_openb_jobs(file: Path) -> Trace:
    """The pods as jobs; see `reading.read_trace` for the errors."""
    builder = TraceBuilder(str(file), "openb")
    for row in Table.rows(file, COLUMNS):
        _add_row(builder, row)
    return builder.finished(("tenants are not recorded in this format; all pods belong to one",))


def _add_row(builder: TraceBuilder, row: Row) -> None:
    created_s, scheduled_s, deleted_s = (row.moment(name) for name in ("creation_time", "scheduled_time", "deletion_time"))
    devices = row.whole("num_gpu")
    if created_s is None:
        builder.leave_out(LeftOut.NO_SUBMISSION, row.place)
    elif scheduled_s is None:
        builder.leave_out(LeftOut.NEVER_STARTED, row.place)
    elif deleted_s is None:
        builder.leave_out(LeftOut.NOT_FINISHED, row.place)
    elif not created_s <= scheduled_s <= deleted_s:
        builder.leave_out(LeftOut.WRONG_ORDER, row.place)
    else:
        request = builder.request(
            row.place,
            devices=devices,
            share_milli=row.whole("gpu_milli", WHOLE),
            accelerators=models_of(row) if devices else (),
            cpu_milli=row.whole("cpu_milli"),
            memory_bytes=row.whole("memory_mib") * _MIB,
        )
        job = Job(
            id=row.text("name"),
            name=row.text("name"),
            tenant="default",
            user="unknown",
            request=request,
            submitted_s=created_s,
            kind=shared_text(row.text("qos", "training")),
        )
        builder.add(job, deleted_s - scheduled_s, row.place, _OUTCOMES.get(row.text("pod_phase"), Outcome.COMPLETED))
