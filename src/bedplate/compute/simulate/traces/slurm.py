"""Reader of Slurm's accounting: `sacct --parsable2 --allusers --format=JobID,JobName,User,Account,State,Submit,Start,End,…`.

Of the further columns, `AllocTRES` (or `ReqTRES`) says what a job had, `Timelimit` how long its user expected it to run, and
`Priority` is taken over. Rows of steps (`123.batch`) belong to their job and are not jobs. Accounts are the tenants.

Source: slurm.schedmd.com/sacct.html; TRES as in slurm.schedmd.com/tres.html.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from bedplate.compute.scheduler.job import WHOLE, Job
from bedplate.compute.simulate.traces.columns import Row, Table
from bedplate.compute.simulate.traces.trace import ZONELESS, LeftOut, Outcome, Trace, TraceBuilder, divided, shared_text
from bedplate.core.errors import ConfigurationError

COLUMNS = ("JobID", "State", "Submit", "Start", "End")
DELIMITER = "|"
_TRES = ("AllocTRES", "ReqTRES")
_READ = ("cpu", "mem", "node", "gres/gpu")
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)([KMGTP]?)")
_UNITS = {"": 1 << 20, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40, "P": 1 << 50}
_LIMIT = re.compile(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)")
_NO_LIMIT = ("UNLIMITED", "Partition_Limit", "INVALID")
_UNFINISHED = ("RUNNING", "PENDING", "SUSPENDED", "REQUEUED", "RESIZING", "CONFIGURING", "COMPLETING")


def read_slurm(file: Path) -> Trace:
    """The jobs of a cluster's accounting; see `reading.read_trace` for the errors."""
    builder = TraceBuilder(str(file), "slurm")
    for row in Table.rows(file, COLUMNS, delimiter=DELIMITER):
        if not any(row.table.index.get(name) is not None for name in _TRES):
            raise ConfigurationError(
                "the trace lacks columns",
                seen=f"{file}:1: {', '.join(row.table.index)}",
                expected="AllocTRES or ReqTRES: what each job had",
            )
        if "." not in row.text("JobID"):
            _add_row(builder, row)
    return builder.finished((ZONELESS,))


def _add_row(builder: TraceBuilder, row: Row) -> None:
    state = (row.text("State").split() or [""])[0]  # CANCELLED by 1000
    submitted_s, start_s, end_s = (row.moment(name) for name in ("Submit", "Start", "End"))
    if submitted_s is None:
        builder.leave_out(LeftOut.NO_SUBMISSION, row.place)
    elif start_s is None:
        builder.leave_out(LeftOut.NEVER_STARTED, row.place)
    elif end_s is None or state in _UNFINISHED:
        builder.leave_out(LeftOut.NOT_FINISHED, row.place)
    elif not submitted_s <= start_s <= end_s:
        builder.leave_out(LeftOut.WRONG_ORDER, row.place)
    else:
        held = _held(row)
        workers, devices = divided(held.get("gres/gpu", 0), held.get("node", 1))
        models = sorted({name.partition(":")[2] for name in held if name.startswith("gres/gpu:")})
        job = Job(
            id=row.text("JobID"),
            name=row.text("JobName", row.text("JobID")),
            tenant=shared_text(row.text("Account", "default")),
            user=shared_text(row.text("User", "unknown")),
            request=builder.request(
                row.place,
                workers=workers,
                devices=devices,
                accelerators=models if devices else (),
                cpu_milli=held.get("cpu", 0) * WHOLE // workers,
                memory_bytes=held.get("mem", 0) // workers,
            ),
            submitted_s=submitted_s,
            priority=row.whole("Priority", 0),
            expected_s=_limit_s(row),
        )
        builder.add(job, end_s - start_s, row.place, _outcome(state))


def _held(row: Row) -> Mapping[str, int]:
    """Amounts by name: `cpu`, `mem` in bytes, `node`, `gres/gpu`, `gres/gpu:a100`; others are passed over."""
    column = next((name for name in _TRES if row.has(name)), _TRES[0])
    held: dict[str, int] = {}
    for item in filter(None, row.text(column).split(",")):
        name, is_amount, amount = item.partition("=")
        if is_amount and name not in _READ and not name.startswith("gres/gpu:"):
            continue
        match = _MEMORY.fullmatch(amount)
        if match is None or (match[2] and name != "mem"):
            raise row.error(column, f"'{item}' cannot be read", "NAME=NUMBER, as in cpu=8,gres/gpu=4,mem=64G,node=1")
        held[name] = round(float(match[1]) * _UNITS[match[2]]) if name == "mem" else round(float(match[1]))
    typed = sum(amount for name, amount in held.items() if name.startswith("gres/gpu:"))
    return {**held, "gres/gpu": held.get("gres/gpu", typed)}


def _limit_s(row: Row) -> float | None:
    """`1-02:03:04` or `30:00` in seconds; None where there is no limit."""
    text = row.text("Timelimit")
    if not row.has("Timelimit") or text in _NO_LIMIT:
        return None
    if (match := _LIMIT.fullmatch(text)) is None:
        raise row.error("Timelimit", "a value is no time limit", "DAYS-HOURS:MINUTES:SECONDS, or UNLIMITED")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60.0 + seconds


def _outcome(state: str) -> Outcome:
    if state == "COMPLETED":
        return Outcome.COMPLETED
    return Outcome.CANCELLED if state in ("CANCELLED", "PREEMPTED", "REVOKED") else Outcome.FAILED
