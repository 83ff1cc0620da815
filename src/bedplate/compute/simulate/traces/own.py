"""Our own format of jobs: a CSV whose columns are the fields of a job, with units as people write them.

| column | meaning | example |
| --- | --- | --- |
| id | unique | `train-17` |
| submitted | a time, or seconds | `2026-05-01 09:30:00`, `3600` |
| duration | with all workers, on the first model it accepts; empty where it has not ended | `2h`, `7200` |
| name, tenant, user, kind | texts | `research/vision` |
| workers, min_workers | how many it wants, and the fewest it runs with | `8`, `4` |
| gang | workers start together | `true` |
| devices | accelerators of each worker | `8` |
| share | of the accelerator of a worker that has one | `0.5`, `50%` |
| accelerators | models that it accepts, the preferred one first | `H100\\|A100` |
| device_memory | least memory of each accelerator | `40GB` |
| cpu, memory | cores and host memory of each worker | `8`, `64GB` |
| topology | `any`, `same-leaf`, `same-node` | `same-leaf` |
| priority | higher goes first; may be negative | `10` |
| deadline | a time, seconds, or after submission | `+6h` |
| expected | how long its user thinks it runs | `4h` |
| preemptible, grace | whether it may be preempted, and how long it gets to save itself | `true`, `30s` |
| outcome | `completed`, `failed`, `cancelled` | `failed` |

`id`, `submitted` and `duration` are needed; every other column may be missing, and every cell of it empty.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from bedplate.compute.scheduler.job import WHOLE, Job, Topology
from bedplate.compute.simulate.traces.columns import Row, Table, moment_s
from bedplate.compute.simulate.traces.trace import LeftOut, Outcome, Trace, TraceBuilder, shared_text
from bedplate.core.errors import UsageError, check_known
from bedplate.core.units import parse_bytes, parse_duration, parse_fraction

COLUMNS = ("id", "submitted", "duration")
OPTIONAL = (
    "name", "tenant", "user", "kind", "workers", "min_workers", "gang", "devices", "share", "accelerators", "device_memory",
    "cpu", "memory", "topology", "priority", "deadline", "expected", "preemptible", "grace", "outcome",
)  # fmt: skip
_MOST_CORES = 1e9
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}

Word = TypeVar("Word", bound=StrEnum)


def read_own(file: Path) -> Trace:
    """The jobs of a file in our own format; see `reading.read_trace` for the errors."""
    builder = TraceBuilder(str(file), "bedplate")
    counts_seconds: bool | None = None
    for row in Table.rows(file, COLUMNS, optional=OPTIONAL):
        if row.has("submitted"):
            counts_seconds = _check_form(row, counts_seconds)
        _add_row(builder, row)
    return builder.finished()


def _check_form(row: Row, counts_seconds: bool | None) -> bool:
    """Whether `submitted` is a number of seconds, as in the rows before: together with times, they would be decades apart."""
    is_number = _is_number(row.text("submitted"))
    if counts_seconds is not None and is_number is not counts_seconds:
        before = "seconds" if counts_seconds else "times"
        raise row.error("submitted", "times and seconds are mixed", f"{before}, as in the rows before")
    return is_number


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _add_row(builder: TraceBuilder, row: Row) -> None:
    submitted_s = row.moment("submitted")
    if submitted_s is None:
        builder.leave_out(LeftOut.NO_SUBMISSION, row.place)
        return
    duration_s = row.read("duration", _signed_duration, None)
    if duration_s is None:
        builder.leave_out(LeftOut.NOT_FINISHED, row.place)
        return
    deadline_s = row.read("deadline", lambda text: _deadline_s(text, submitted_s), None)
    if deadline_s is not None and deadline_s < submitted_s:
        builder.leave_out(LeftOut.WRONG_ORDER, row.place)
        return
    devices, share_milli = row.whole("devices", 0), row.read("share", lambda text: round(WHOLE * parse_fraction(text)), WHOLE)
    if share_milli != WHOLE and not devices:
        raise row.error("share", "a share of no accelerator", "devices=1, or no share")
    request = builder.request(
        row.place,
        workers=row.whole("workers", 1),
        min_workers=row.whole("min_workers") if row.has("min_workers") else None,
        is_gang=row.read("gang", _boolean, True),
        devices=devices,
        share_milli=share_milli,
        accelerators=filter(None, (model.strip() for model in row.text("accelerators").split("|"))),
        device_memory_bytes=row.read("device_memory", parse_bytes, 0),
        cpu_milli=row.read("cpu", _cpu_milli, 0),
        memory_bytes=row.read("memory", parse_bytes, 0),
        topology=row.read("topology", _word_of(Topology), Topology.ANY),
    )
    if not row.text("id"):
        raise row.error("id", "a job has no id", "a text of its own")
    job = Job(
        id=row.text("id"),
        name=row.text("name", row.text("id")),
        tenant=shared_text(row.text("tenant", "default")),
        user=shared_text(row.text("user", "unknown")),
        request=request,
        submitted_s=submitted_s,
        priority=row.read("priority", _signed, 0),
        kind=shared_text(row.text("kind", "training")),
        expected_s=row.read("expected", parse_duration, None),
        deadline_s=deadline_s,
        is_preemptible=row.read("preemptible", _boolean, True),
        grace_s=row.read("grace", parse_duration, 30.0),
    )
    builder.add(job, duration_s, row.place, row.read("outcome", _word_of(Outcome), Outcome.COMPLETED))


def _signed_duration(text: str) -> float:
    """A duration; a negative one is kept, so that the job can be counted as left out."""
    return -parse_duration(text[1:]) if text.startswith("-") else parse_duration(text)


def _deadline_s(text: str, submitted_s: float) -> float:
    if text.startswith("+"):
        return submitted_s + parse_duration(text[1:])
    try:
        return moment_s(text)
    except ValueError:
        raise UsageError("a value is no time", expected="2026-05-01 09:30:00, seconds, or +6h after submission") from None


def _boolean(text: str) -> bool:
    check_known(text.lower(), _BOOLEANS, "not a boolean")
    return _BOOLEANS[text.lower()]


def _cpu_milli(text: str) -> int:
    try:
        cores = float(text)
    except ValueError:
        cores = -1.0
    if not 0 <= cores < _MOST_CORES:
        raise UsageError("a value is no number of cores", expected="0 or more, such as 0.5")
    return round(WHOLE * cores)


def _signed(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UsageError("a value is no whole number", expected="a whole number of either sign") from None


def _word_of(words: type[Word]) -> Callable[[str], Word]:
    def read(text: str) -> Word:
        check_known(text, [word.value for word in words], "unknown word")
        return words(text)

    return read
