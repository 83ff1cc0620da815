"""Reader of Philly's job log (JSON), and of its flat form (CSV).

JSON: a list of `{jobid, vc, user, status, submitted_time, attempts: [{start_time, end_time, detail: [{ip, gpus: […]}]}]}`.
CSV: one job a row, `jobid,vc,user,submitted_time,start_time,end_time,num_gpus,status`.

A job runs as long as all its attempts together did. It needs the accelerators of its last attempt: a worker on each
machine if all have the same number, or a worker for each accelerator. CPU and memory are not recorded.

Source: github.com/msr-fiddle/philly-traces, README (Jeon et al., ATC 2019).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NoReturn

from bedplate.compute.scheduler.job import Job
from bedplate.compute.simulate.traces.columns import NO_VALUE, Row, Table, moment_s, open_trace
from bedplate.compute.simulate.traces.trace import ZONELESS, LeftOut, Outcome, Trace, TraceBuilder, divided, shared_text
from bedplate.core.errors import ConfigurationError, check_known

CSV_COLUMNS = ("jobid", "vc", "user", "submitted_time", "start_time", "end_time", "num_gpus", "status")
_OUTCOMES = {"Pass": Outcome.COMPLETED, "Failed": Outcome.FAILED, "Killed": Outcome.CANCELLED}
_NOTES = ("CPU and memory are not recorded in this format; jobs ask for none", ZONELESS)


def read_philly_csv(file: Path) -> Trace:
    """The jobs of a flat CSV; see `reading.read_trace` for the errors."""
    builder = TraceBuilder(str(file), "philly-csv")
    for row in Table.rows(file, CSV_COLUMNS):
        _add_row(builder, row)
    return builder.finished(_NOTES)


def read_philly_json(file: Path) -> Trace:
    """The jobs of `cluster_job_log`; see `reading.read_trace` for the errors."""
    builder = TraceBuilder(str(file), "philly-json")
    for place, entry in _entries(file):
        _Entry(entry, place).add_to(builder)
    return builder.finished(_NOTES)


def _add_row(builder: TraceBuilder, row: Row) -> None:
    status = row.text("status")
    check_known(status, _OUTCOMES, "unknown status", error=ConfigurationError, seen=f"{row.place}: status={status!r}")
    submitted_s, start_s, end_s = (row.moment(name) for name in ("submitted_time", "start_time", "end_time"))
    workers, devices = divided(row.whole("num_gpus"), 1)
    if submitted_s is None:
        builder.leave_out(LeftOut.NO_SUBMISSION, row.place)
    elif start_s is None:
        builder.leave_out(LeftOut.NEVER_STARTED, row.place)
    elif end_s is None:
        builder.leave_out(LeftOut.NOT_FINISHED, row.place)
    elif not submitted_s <= start_s <= end_s:
        builder.leave_out(LeftOut.WRONG_ORDER, row.place)
    else:
        job = Job(
            id=row.text("jobid"),
            name=row.text("jobid"),
            tenant=shared_text(row.text("vc", "default")),
            user=shared_text(row.text("user", "unknown")),
            request=builder.request(row.place, workers=workers, devices=devices),
            submitted_s=submitted_s,
        )
        builder.add(job, end_s - start_s, row.place, _OUTCOMES[status])


class _Entry:
    """One job of the JSON, whose parts are asked for by key."""

    def __init__(self, entry: object, place: str) -> None:
        self._place = place
        self._entry = self._mapping(entry, "job")

    def add_to(self, builder: TraceBuilder) -> None:
        """Hand the job on, or say why not."""
        reason, duration_s = self._duration_s()
        submitted_s = self._moment(self._entry, "submitted_time", "submitted_time")
        if submitted_s is None:
            builder.leave_out(LeftOut.NO_SUBMISSION, self._place)
        elif reason is not None:
            builder.leave_out(reason, self._place)
        else:
            workers, devices = self._workers()
            status = self._text("status")
            seen = f"{self._place}: status={status!r}"
            check_known(status, _OUTCOMES, "unknown status", error=ConfigurationError, seen=seen)
            job = Job(
                id=self._text("jobid"),
                name=self._text("jobid"),
                tenant=shared_text(self._text("vc")),
                user=shared_text(self._text("user")),
                request=builder.request(self._place, workers=workers, devices=devices),
                submitted_s=submitted_s,
            )
            builder.add(job, duration_s, self._place, _OUTCOMES[status])

    def _duration_s(self) -> tuple[LeftOut | None, float]:
        """Why it cannot be replayed, or None; and the length of all attempts."""
        attempts, total_s = self._list(self._entry, "attempts", "attempts"), 0.0
        last_s = self._moment(self._entry, "submitted_time", "submitted_time") or 0.0
        if not attempts:
            return LeftOut.NEVER_STARTED, 0.0
        for at, item in enumerate(attempts):
            attempt = self._mapping(item, f"attempts[{at}]")
            start_s = self._moment(attempt, "start_time", f"attempts[{at}].start_time")
            end_s = self._moment(attempt, "end_time", f"attempts[{at}].end_time")
            if start_s is None or end_s is None:
                return LeftOut.NOT_FINISHED if start_s is not None else LeftOut.NEVER_STARTED, 0.0
            if not last_s <= start_s <= end_s:
                return LeftOut.WRONG_ORDER, 0.0
            total_s, last_s = total_s + end_s - start_s, end_s
        return None, total_s

    def _workers(self) -> tuple[int, int]:
        last = self._mapping(self._list(self._entry, "attempts", "attempts")[-1], "attempts[-1]")
        machines = [self._mapping(item, "detail") for item in self._list(last, "detail", "attempts[-1].detail")]
        counts = [len(self._list(machine, "gpus", "attempts[-1].detail.gpus")) for machine in machines]
        return divided(sum(counts), len(counts) if len(set(counts)) == 1 else 0)

    def _text(self, key: str) -> str:
        value = self._entry.get(key)
        return value if isinstance(value, str) else self._refuse(key, value, "text")

    def _moment(self, holder: Mapping[str, object], key: str, path: str) -> float | None:
        value = holder.get(key)
        if value is None or (isinstance(value, str) and value.lower() in NO_VALUE):
            return None
        try:
            return moment_s(str(value))
        except ValueError:
            return self._refuse(path, value, "2017-10-07 01:11:39")

    def _list(self, holder: Mapping[str, object], key: str, path: str) -> list[object]:
        value = holder.get(key)
        return value if isinstance(value, list) else self._refuse(path, value, "a list")

    def _mapping(self, value: object, path: str) -> Mapping[str, object]:
        return value if isinstance(value, dict) else self._refuse(path, value, "an object")

    def _refuse(self, path: str, value: object, expected: str) -> NoReturn:
        raise ConfigurationError(
            "a value cannot be read", seen=f"{self._place}: {path}={json.dumps(value)[:80]}", expected=expected
        )


def _entries(file: Path) -> Iterator[tuple[str, object]]:
    """`FILE:LINE` and value of each item of the list, decoded one by one so that the line is known."""
    with open_trace(file) as stream:
        text = stream.read()
    decoder, at, line = json.JSONDecoder(), _skip(text, 0, "\ufeff"), 1
    if text[at : at + 1] != "[":
        raise ConfigurationError("the trace is no list", seen=f"{file}:1: {text[at : at + 20]!r}", expected="[ of jobs")
    counted, at = 0, _skip(text, at + 1)
    while text[at : at + 1] != "]":
        line, counted = line + text.count("\n", counted, at), at
        try:
            entry, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise ConfigurationError(
                "the trace is no JSON", seen=f"{file}:{error.lineno}: column {error.colno}: {error.msg}", expected="a job"
            ) from error
        yield f"{file}:{line}", entry
        at = _skip(text, at)
        if text[at : at + 1] == ",":
            at = _skip(text, at + 1)
        elif text[at : at + 1] != "]":
            line += text.count("\n", counted, at)
            raise ConfigurationError("the trace is no JSON", seen=f"{file}:{line}: {text[at : at + 20]!r}", expected=", or ]")


def _skip(text: str, at: int, more: str = "") -> int:
    while at < len(text) and text[at] in " \t\r\n" + more:
        at += 1
    return at
