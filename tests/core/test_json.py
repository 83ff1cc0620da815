"""One text, and so one digest, for one JSON value."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.core.json import Json, canonical, digest

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_the_text_reads_back_as_the_value(value: Json) -> None:
    assert json.loads(canonical(value)) == value


@given(st.dictionaries(st.text(), st.integers(), max_size=6))
def test_the_order_of_keys_does_not_matter(value: dict[str, int]) -> None:
    assert digest(value) == digest(dict(reversed(value.items())))


def test_different_values_have_different_digests() -> None:
    values: tuple[Json, ...] = ({}, [], None, 0, "", "0", {"a": 1}, {"a": "1"}, [[]])
    assert len({digest(value) for value in values}) == 9


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"loss": float("-inf")}])
def test_what_json_cannot_say_is_refused(value: Json) -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical(value)


def test_what_is_not_json_is_refused() -> None:
    with pytest.raises(TypeError):
        canonical({"path": object()})  # type: ignore[dict-item]


def test_chinese_stays_readable() -> None:
    assert canonical({"名": "底座"}) == '{"名":"底座"}'
