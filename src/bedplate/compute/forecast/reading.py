"""Reader of demand traces: a CSV file, also compressed, with a time column and a column of numbers.

Times are ISO 8601 (without an offset they count as UTC) or seconds, milliseconds, micro- or nanoseconds since the epoch. Rows
may come in any order. An empty cell, `nan` or `null` is a gap. `a+b` is the sum of two columns.
"""

from __future__ import annotations

import csv
import gzip
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from bedplate.compute.forecast.series import DemandSeries, regular
from bedplate.core.errors import ConfigurationError, NotFoundError, UsageError, did_you_mean

_TIME_NAMES = ("time", "timestamp", "date", "datetime", "ts", "ds", "time_s", "at_s", "epoch")
_MISSING = ("", "nan", "null", "none", "na", "n/a")
_EPOCH_UNITS = ((1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3), (0.0, 1.0))
"""Least size of a number of each unit, and the unit in seconds: 1e11 s would be the year 5138."""


def read_series(
    file: Path, column: str, *, time: str | None = None, step_s: float | None = None, aggregate: str = "mean"
) -> DemandSeries:
    """One column of a trace on a regular grid; `regular` says what `step_s` and `aggregate` mean.

    Raises:
        NotFoundError: No such file.
        ConfigurationError: A column is missing or a cell cannot be read, with its line and column.
        UsageError: As `regular`.
    """
    times_s, observed = list[float](), list[float]()
    is_local = False
    rows = _rows(file)
    heading = next(rows, (1, []))[1]
    if not heading:
        raise ConfigurationError("the trace is empty", where=f"{file}:1", expected="a heading and one row or more")
    time_at = _time_column(file, heading, time)
    columns = _columns(file, heading, column)
    for line, row in rows:
        if not row:
            continue
        if len(row) != len(heading):
            raise ConfigurationError(
                "a row has another number of cells than the heading",
                where=f"{file}:{line}",
                seen=len(row),
                expected=len(heading),
            )
        is_local = is_local or (not times_s and _is_local(row[time_at]))
        times_s.append(_cell(file, line, heading[time_at], row[time_at], _time_s))
        observed.append(sum(_cell(file, line, heading[at], row[at], _number) for at in columns))
    if not times_s:
        raise ConfigurationError("the trace has no rows", where=f"{file}:1", expected="one row or more")
    series = regular(file.name.partition(".")[0], np.array(times_s), np.array(observed), step_s, aggregate)
    return replace(series, notes=tuple(_notes(len(times_s) - len(set(times_s)), aggregate, is_local=is_local)))


def _notes(num_repeated: int, aggregate: str, *, is_local: bool) -> Iterator[str]:
    if num_repeated:
        yield f"rows that repeat the time of another one: {num_repeated}; the {aggregate} of them all is taken"
    if is_local:
        yield "times without an offset are read as UTC: where clocks changed, an hour comes twice or is missing"


def _rows(file: Path) -> Iterator[tuple[int, list[str]]]:
    """Line and cells of each row, the heading first."""
    try:
        with (
            gzip.open(file, "rt", encoding="utf-8-sig", newline="")
            if file.suffix == ".gz"
            else file.open(encoding="utf-8-sig", newline="")
        ) as stream:
            reader = csv.reader(stream)
            for row in reader:
                yield reader.line_num, row
    except FileNotFoundError as error:
        raise NotFoundError("no such trace", seen=file, next_step="check the path") from error
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError("the trace cannot be read", seen=f"{file}: {error}", expected="a CSV file in UTF-8") from error


def _time_column(file: Path, heading: Sequence[str], name: str | None) -> int:
    if name is not None:
        return _column(file, heading, name)
    lower = [cell.strip().lower() for cell in heading]
    return next((lower.index(word) for word in _TIME_NAMES if word in lower), 0)


def _columns(file: Path, heading: Sequence[str], column: str) -> list[int]:
    """Where the column is; the summands of `a+b` where no column has that name."""
    names = [column] if column in heading else [name.strip() for name in column.split("+")]
    return [_column(file, heading, name) for name in names]


def _column(file: Path, heading: Sequence[str], name: str) -> int:
    if name not in heading:
        raise ConfigurationError(
            f"the trace has no column '{name}'",
            where=f"{file}:1",
            seen=", ".join(heading),
            next_step=did_you_mean(name, heading),
        )
    if heading.count(name) > 1:
        raise ConfigurationError(f"two columns are called '{name}'", where=f"{file}:1", expected="names of their own")
    return heading.index(name)


def _cell(file: Path, line: int, column: str, text: str, read: Callable[[str], float]) -> float:
    try:
        return read(text.strip())
    except (ValueError, OverflowError) as error:
        expected = error.args[0] if isinstance(error, _UnreadableError) else "a number"
        raise ConfigurationError(
            f"column '{column}' cannot be read", where=f"{file}:{line}", seen=repr(text), expected=expected
        ) from error


class _UnreadableError(ValueError):
    """A cell that cannot be read; says what would have been right."""


def _number(text: str) -> float:
    if text.lower() in _MISSING:
        return math.nan
    number = float(text)
    if math.isinf(number) or "_" in text:
        raise _UnreadableError("a finite number, or an empty cell for a gap")
    return number


def _time_s(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        try:
            at = datetime.fromisoformat(text)
        except ValueError as error:
            raise _UnreadableError("a time as 2026-01-31T08:00:00Z, or seconds or milliseconds since the epoch") from error
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    if not math.isfinite(number):
        raise _UnreadableError("a finite time")
    return number * next(unit for least, unit in _EPOCH_UNITS if abs(number) >= least)


def _is_local(text: str) -> bool:
    """Whether a time has a date and no offset."""
    try:
        return datetime.fromisoformat(text).tzinfo is None and not text.isdigit()
    except ValueError:
        return False


def check_same_step(series: Sequence[DemandSeries]) -> None:
    """Series that are forecast together share a step.

    Raises:
        UsageError: They do not.
    """
    steps = {item.step_s for item in series}
    if len(steps) > 1:
        raise UsageError(
            "the series have different steps",
            seen=", ".join(f"{item.name}: {item.step_s:g} s" for item in series),
            next_step="give all of them one with --every",
        )
