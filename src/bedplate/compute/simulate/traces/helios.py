"""Reader of Helios' `cluster_log.csv`.

`job_id,user,vc,jobname,gpu_num,cpu_num,node_num,state,submit_time,start_time,end_time,duration,queue`; `jobname` and `queue`
may be missing. `gpu_num` and `cpu_num` are of the whole job. Memory is not recorded.

Source: github.com/S-Lab-System-Group/HeliosData, README (Hu et al., SC 2021).
"""

from __future__ import annotations

from pathlib import Path

from bedplate.compute.scheduler.job import WHOLE, Job
from bedplate.compute.simulate.traces.columns import Row, Table
from bedplate.compute.simulate.traces.trace import ZONELESS, LeftOut, Outcome, Trace, TraceBuilder, divided, shared_text
from bedplate.core.errors import ConfigurationError, check_known

COLUMNS = (
    "job_id", "user", "vc", "gpu_num", "cpu_num", "node_num", "state", "submit_time", "start_time", "end_time", "duration",
)  # fmt: skip
_OPTIONAL = ("jobname", "queue")
_OUTCOMES = {
    "COMPLETED": Outcome.COMPLETED,
    "CANCELLED": Outcome.CANCELLED,
    "FAILED": Outcome.FAILED,
    "TIMEOUT": Outcome.FAILED,
    "NODE_FAIL": Outcome.FAILED,
}
_ROUNDING_S = 1.0


def read_helios(file: Path) -> Trace:
    """The jobs of a Helios cluster; see `reading.read_trace` for the errors."""
    builder = TraceBuilder(str(file), "helios")
    for row in Table.rows(file, COLUMNS, optional=_OPTIONAL):
        _add_row(builder, row)
    return builder.finished(("memory is not recorded in this format; jobs ask for none", ZONELESS))


def _add_row(builder: TraceBuilder, row: Row) -> None:
    state = row.text("state")
    check_known(state, _OUTCOMES, "unknown state", error=ConfigurationError, seen=f"{row.place}: state={state!r}")
    submitted_s, start_s, end_s = (row.moment(name) for name in ("submit_time", "start_time", "end_time"))
    if submitted_s is None:
        builder.leave_out(LeftOut.NO_SUBMISSION, row.place)
    elif start_s is None:
        builder.leave_out(LeftOut.NEVER_STARTED, row.place)
    elif end_s is None:
        builder.leave_out(LeftOut.NOT_FINISHED, row.place)
    elif not submitted_s <= start_s <= end_s:
        builder.leave_out(LeftOut.WRONG_ORDER, row.place)
    elif row.has("duration") and abs(row.number("duration") - (end_s - start_s)) > _ROUNDING_S:
        builder.leave_out(LeftOut.DISAGREEING, row.place)
    else:
        num_gpus, num_nodes = row.whole("gpu_num"), row.whole("node_num")
        workers, devices = divided(num_gpus, num_nodes)
        job = Job(
            id=row.text("job_id"),
            name=row.text("jobname", row.text("job_id")),
            tenant=shared_text(row.text("vc", "default")),
            user=shared_text(row.text("user", "unknown")),
            request=builder.request(
                row.place, workers=workers, devices=devices, cpu_milli=row.whole("cpu_num") * WHOLE // workers
            ),
            submitted_s=submitted_s,
        )
        builder.add(job, end_s - start_s, row.place, _OUTCOMES[state])
