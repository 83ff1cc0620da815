"""Quantities as people write them become numbers in base units, and back."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.core.errors import UsageError
from bedplate.core.units import (
    ByteCount,
    Count,
    Duration,
    Fraction,
    Rate,
    format_bytes,
    format_count,
    format_duration,
    format_flops,
    format_rate,
    parse_bytes,
    parse_count,
    parse_duration,
    parse_fraction,
    parse_rate,
)


@pytest.mark.parametrize(
    ("parse", "text", "number"),
    [
        (parse_bytes, "80GB", 80 * 10**9),
        (parse_bytes, "1.5GiB", 3 * 2**29),
        (parse_bytes, "64 KiB", 65536),
        (parse_bytes, "4096", 4096),
        (parse_bytes, 4096, 4096),
        (parse_bytes, "1_000kB", 10**6),
        (parse_duration, "5m", 300.0),
        (parse_duration, "250ms", 0.25),
        (parse_duration, "1.5h", 5400.0),
        (parse_duration, "3", 3.0),
        (parse_duration, "2d", 172_800.0),
        (parse_rate, "400Gb/s", 50e9),
        (parse_rate, "50GB/s", 50e9),
        (parse_rate, "1GiB/s", 2.0**30),
        (parse_rate, 12, 12.0),
        (parse_count, "40k", 40_000),
        (parse_count, "1.5M", 1_500_000),
        (parse_count, 7, 7),
        (parse_fraction, "5%", 0.05),
        (parse_fraction, "0.05", 0.05),
        (parse_fraction, 1, 1.0),
    ],
)
def test_what_people_write_is_read(parse: Callable[[str | float], float], text: str | float, number: float) -> None:
    assert parse(text) == pytest.approx(number)


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_bytes, "80Gb"),
        (parse_bytes, "-1GB"),
        (parse_bytes, "many"),
        (parse_bytes, ""),
        (parse_bytes, "GB"),
        (parse_bytes, "1e999GB"),
        (parse_bytes, float("nan")),
        (parse_bytes, True),
        (parse_duration, "5 fortnights"),
        (parse_duration, "-3s"),
        (parse_rate, "400Gb"),
        (parse_count, "1.5"),
        (parse_count, "12 apples"),
        (parse_fraction, "5"),
        (parse_fraction, "120%"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_an_example(parse: Callable[[object], float], text: object) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert caught.value.seen is not None
    assert caught.value.expected is not None


def test_bits_are_not_bytes_and_the_nearest_unit_is_named() -> None:
    with pytest.raises(UsageError, match="'Gb' is not a unit of a size") as caught:
        parse_bytes("80Gb")
    assert caught.value.next_step is not None
    assert "GB" in caught.value.next_step


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (format_bytes(1536), "1.54 kB"),
        (format_bytes(0), "0 B"),
        (format_bytes(12), "12 B"),
        (format_rate(2.5e9), "2.50 GB/s"),
        (format_flops(1.2e12), "1.20 TFLOP/s"),
        (format_count(40960), "41.0k"),
        (format_count(512), "512"),
        (format_duration(0.0000031), "3 µs"),
        (format_duration(0.0031), "3.1 ms"),
        (format_duration(0.9996), "1 s"),
        (format_duration(12.34), "12.3 s"),
        (format_duration(59.97), "1m 00s"),
        (format_duration(75), "1m 15s"),
        (format_duration(3599.6), "1h 00m"),
        (format_duration(7300), "2h 02m"),
    ],
)
def test_numbers_are_printed_for_people(text: str, expected: str) -> None:
    assert text == expected


@given(st.integers(0, 10**17))
def test_a_printed_size_reads_back_within_half_a_percent(size_bytes: int) -> None:
    assert math.isclose(parse_bytes(format_bytes(size_bytes)), size_bytes, rel_tol=0.0051, abs_tol=0.5)


@given(st.floats(1.0, 1e17))
def test_a_printed_rate_reads_back_within_half_a_percent(rate_bytes_per_s: float) -> None:
    assert math.isclose(parse_rate(format_rate(rate_bytes_per_s)), rate_bytes_per_s, rel_tol=0.0051)


@given(st.integers(0, 10**15))
def test_a_printed_count_reads_back_within_half_a_percent(count: int) -> None:
    assert math.isclose(parse_count(format_count(count)), count, rel_tol=0.0051)


@given(st.floats(0, 59.9))
def test_a_printed_short_duration_reads_back(duration_s: float) -> None:
    assert math.isclose(parse_duration(format_duration(duration_s)), duration_s, rel_tol=0.0051, abs_tol=6e-7)


@given(st.text(max_size=12))
def test_any_text_is_either_read_or_refused_as_bad_usage(text: str) -> None:
    for parse in (parse_bytes, parse_duration, parse_rate, parse_count, parse_fraction):
        try:
            assert parse(text) >= 0
        except UsageError as error:
            assert error.exit_code == 2


@pytest.mark.parametrize(
    ("kind", "number", "text"),
    [
        (ByteCount, 2_000_000_000, "2GB"),
        (ByteCount, 4 * 2**20, "4MiB"),
        (ByteCount, 1_500_000, "1.5MB"),
        (ByteCount, 4097, "4097B"),
        (Count, 40_000, "40k"),
        (Count, 8192, "8192"),
        (Count, 0, "0"),
        (Duration, 120.0, "2m"),
        (Duration, 1.2, "1.2s"),
        (Duration, 0.1, "100ms"),
        (Fraction, 0.005, "0.5%"),
        (Fraction, 0.0, "0"),
        (Rate, 5e6, "5MB/s"),
    ],
)
def test_a_default_is_shown_as_people_write_it_and_reads_back(kind: Any, number: float, text: str) -> None:
    (quantity,) = kind.__metadata__
    assert quantity.written(number) == text
    assert quantity.parse(text) == pytest.approx(number)


def test_a_whole_number_of_any_size_keeps_every_digit() -> None:
    assert parse_count(2**60 + 1) == 2**60 + 1
    assert parse_bytes(2**60 + 1) == 2**60 + 1


@pytest.mark.parametrize("parse", [parse_bytes, parse_count, parse_duration, parse_rate])
def test_a_number_beyond_all_floats_is_refused(parse: Any) -> None:
    with pytest.raises(UsageError, match="finite"):
        parse("1e999")
