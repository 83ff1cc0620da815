"""A bare word means what YAML 1.2 says, and what two versions of YAML read differently is refused or stays text."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.core.errors import ConfigurationError
from bedplate.core.json import Json
from bedplate.documents.reading import parse_document


def value_of(text: str) -> Json:
    return parse_document(f"a: {text}\n", "file.yaml", Path()).value["a"]


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("1e-4", 1e-4),
        ("5e-05", 5e-5),
        ("1e5", 1e5),
        ("1.5E+3", 1500.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("-3", -3),
        ("+3", 3),
        ("0", 0),
        ("0.05", 0.05),
        ("0x1f", 31),
        ("0o17", 15),
    ],
)
def test_numbers(written: str, number: float) -> None:
    read = value_of(written)
    assert (read, type(read)) == (number, type(number))


TEXTS = "yes no on off Y y N 1:30 190:20:30 1_000 2024-01-02 2001-12-14T21:59:43.1-05:00 40k 5% $model e5 1e 0b11 = <<"


@pytest.mark.parametrize("written", TEXTS.split())
def test_everything_else_is_text(written: str) -> None:
    assert value_of(written) == written


@pytest.mark.parametrize(("written", "value"), [("true", True), ("False", False), ("null", None), ("~", None), ("", None)])
def test_booleans_and_null(written: str, value: object) -> None:
    assert value_of(written) is value


@pytest.mark.parametrize("written", ["'1e-4'", '"0100"', "'true'", "'~'"])
def test_what_is_quoted_is_text(written: str) -> None:
    assert value_of(written) == written[1:-1]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("0100", "100, 0o100 in octal, or '0100' for text"),
        ("-007", "7, 0o7 in octal, or '-007' for text"),
        ("09", "9, or '09' for text"),
        (".inf", "a finite number, or '.inf' for text"),
        ("-.INF", "a finite number, or '-.INF' for text"),
        ("12e5678", "a finite number, or '12e5678' for text"),
        ("!!int 1.5", "a value without a tag"),
    ],
)
def test_what_cannot_be_meant_says_what_to_write(written: str, expected: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        value_of(written)
    assert raised.value.expected == expected


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_float_that_python_prints_comes_back(number: float) -> None:
    assert value_of(repr(number)) == number
