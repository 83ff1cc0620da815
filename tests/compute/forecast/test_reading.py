"""Traces of demand, as people have them."""

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bedplate.compute.forecast.reading import check_same_step, read_series
from bedplate.core.errors import ConfigurationError, NotFoundError, UsageError
from tests.compute.forecast.demands import HOUR_S, MONDAY_S, hourly, write_trace


def written(folder: Path, text: str) -> Path:
    file = folder / "trace.csv"
    file.write_text(text)
    return file


def test_a_fine_trace_is_averaged_over_ten_minutes(tmp_path: Path) -> None:
    series = read_series(write_trace(tmp_path / "trace.csv", np.arange(60.0), step_s=60), "gpus")
    assert (series.step_s, len(series)) == (600, 6)
    assert series.values[0] == pytest.approx(4.5) and series.latest[0] == 9


@pytest.mark.parametrize(
    "times",
    [
        ("2020-04-27 00:00:00", "2020-04-27 01:00:00", "2020-04-27 02:00:00"),
        ("2020-04-27T02:00:00+02:00", "2020-04-27T03:00:00+02:00", "2020-04-27T02:00:00Z"),
        ("1587945600", "1587949200", "1587952800"),
        ("1587945600000", "1587949200000", "1587952800000"),
    ],
    ids=["local", "offsets", "seconds", "milliseconds"],
)
def test_times_are_read_in_any_usual_form(tmp_path: Path, times: tuple[str, ...]) -> None:
    file = written(tmp_path, "id,ts,gpus\n" + "".join(f"x,{time},{at}\n" for at, time in enumerate(times)))
    series = read_series(file, "gpus")
    assert (series.start_s, series.step_s) == (MONDAY_S, HOUR_S)
    assert series.values.tolist() == [0, 1, 2]


def test_order_duplicates_and_gaps(tmp_path: Path) -> None:
    rows = ("7200,5", "0,1", "3600,nan", "7200,7", "14400,9", "18000,", "21600,2")
    series = read_series(written(tmp_path, "t,v\n" + "\n".join(rows)), "v", step_s=3600)
    assert series.values[[0, 2, 4, 6]].tolist() == [1, 6, 9, 2]
    assert np.isnan(series.values[[1, 3, 5]]).all()
    assert series.notes == ("rows that repeat the time of another one: 1; the mean of them all is taken",)


def test_local_times_are_read_as_utc_and_say_so_where_the_clocks_changed_too(tmp_path: Path) -> None:
    hours = ("00:00", "01:00", "02:00", "02:00", "03:00")
    series = read_series(
        written(tmp_path, "t,v\n" + "".join(f"2026-10-25T{hour},{at}\n" for at, hour in enumerate(hours))), "v"
    )
    assert series.values.tolist() == [0, 1, 2.5, 4]
    repeated, local = series.notes
    assert repeated.startswith("rows that repeat the time of another one: 1;") and "without an offset are read as UTC" in local
    known = read_series(written(tmp_path, "t,v\n2026-10-25T00:00Z,1\n2026-10-25T01:00Z,2\n"), "v")
    assert known.notes == ()


def test_columns_are_added_and_files_unpacked(tmp_path: Path) -> None:
    file = tmp_path / "trace.csv.gz"
    file.write_bytes(gzip.compress(b"time,running,pending\n0,3,1\n3600,-4,2\n"))
    assert read_series(file, "running+pending").values.tolist() == [4, -2]


def test_arrivals_are_counted_and_summed(tmp_path: Path) -> None:
    file = written(tmp_path, "time,tokens\n0,10\n1,20\n1250,5\n")
    assert read_series(file, "tokens", aggregate="count").values.tolist() == [2, 0, 1]
    assert read_series(file, "tokens", aggregate="sum").values.tolist() == [30, 0, 5]


@pytest.mark.parametrize(
    ("text", "where", "said"),
    [
        ("time,gpus\n0,1\n60,many\n", "trace.csv:3", "'gpus' cannot be read"),
        ("time,gpus\n0,1\nyesterday,2\n", "trace.csv:3", "'time' cannot be read"),
        ("time,gpus\n0,inf\n", "trace.csv:2", "'gpus' cannot be read"),
        ("time,gpus\n0,1,2\n", "trace.csv:2", "another number of cells"),
        ("time,gpu\n0,1\n", "trace.csv:1", "no column 'gpus'"),
        ("time,gpus\n", "trace.csv:1", "no rows"),
        ("", "trace.csv:1", "empty"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_place(tmp_path: Path, text: str, where: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_series(written(tmp_path, text), "gpus")
    assert where in str(caught.value) and said in str(caught.value)


def test_a_wrong_year_does_not_make_millions_of_steps(tmp_path: Path) -> None:
    text = "time,gpus\n2020-01-01,1\n2020-01-01T00:10:00,1\n2020-01-01T00:20:00,2\n1950-01-01,3\n"
    with pytest.raises(UsageError, match="too many steps"):
        read_series(written(tmp_path, text), "gpus")


@pytest.mark.parametrize("step_s", [420.0, 0.5, 1800.0])
def test_a_step_must_fit_day_and_trace(tmp_path: Path, step_s: float) -> None:
    with pytest.raises(UsageError):
        read_series(write_trace(tmp_path / "trace.csv", [1, 2, 3]), "gpus", step_s=step_s)


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        read_series(tmp_path / "none.csv", "gpus")
    with pytest.raises(UsageError, match="no value"):
        read_series(written(tmp_path, "time,gpus\n0,\n60,nan\n"), "gpus")


def test_series_of_different_steps_are_refused() -> None:
    with pytest.raises(UsageError, match="different steps"):
        check_same_step([hourly([1, 2]), replace(hourly([1, 2]), step_s=86_400)])


def test_one_wrong_year_in_three_rows_is_no_step(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="too many steps"):
        read_series(written(tmp_path, "t,v\n1700000000,1\n1700000060,2\n4100000000,3\n"), "v")
