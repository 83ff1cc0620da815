import pytest
from hypothesis import given
from hypothesis import strategies as some

from bedplate.core.errors import UsageError
from bedplate.scorecard.formula import parse_formula


@pytest.mark.parametrize(
    ("text", "result"),
    [("a", 6.0), ("a - 1", 5.0), ("-a + b * 2", 0.0), ("(a + b) / b", 3.0), ("1 - a / (b * 4)", 0.5), ("a * 1.5e1", 90.0)],
)
def test_arithmetic_over_names_is_computed(text: str, result: float) -> None:
    assert parse_formula(text).evaluate({"a": 6.0, "b": 3.0}) == result


@given(some.floats(-1e6, 1e6), some.floats(0.1, 1e6))
def test_it_computes_what_python_computes(a: float, b: float) -> None:
    assert parse_formula("(a - b) / b + 2 * a").evaluate({"a": a, "b": b}) == (a - b) / b + 2 * a


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "a.real",
        "a[0]",
        "a ** 9",
        "a if a else b",
        "a and b",
        "a < b",
        "lambda: a",
        "[a]",
        "'a'",
        "a + True",
        "a + 1j",
        "a // b",
        "a % b",
        "~a",
        "a := 1",
        "a; b",
        "",
        "a +",
        "f(a)",
        "2 + 3",
        "(" * 5000 + "a" + ")" * 5000,
    ],
)
def test_anything_but_arithmetic_over_names_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_formula(text)


def test_names_are_listed_once_in_order_of_use() -> None:
    assert parse_formula("b / a + b").names == ("b", "a")


def test_a_division_by_zero_has_no_result() -> None:
    assert parse_formula("a / b").evaluate({"a": 1.0, "b": 0.0}) is None
