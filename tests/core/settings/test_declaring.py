"""A settings object keeps its types and ranges, whoever makes it."""

import dataclasses
import enum
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pytest

from bedplate.core.errors import ConfigurationError, UsageError
from bedplate.core.settings import Range, read_settings, settings
from bedplate.core.units import ByteCount, Count, Duration, Fraction


class Precision(enum.StrEnum):
    BF16 = "bf16"
    FP32 = "fp32"


@settings
class Inner:
    """Nested."""

    every: Annotated[Duration, Range(0.1)] = 60.0


@settings
class Train:
    """A job."""

    tokens: Annotated[Count, Range(1)] = 1000
    share: Fraction = 0.05
    rate: Annotated[float, Range(0)] = 1e-4
    limit: ByteCount | None = None
    precision: Precision = Precision.BF16
    place: Literal["memory", "disk"] = "memory"
    warm: bool = False
    schemes: tuple[str, ...] = ()
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    inner: Inner = dataclasses.field(default_factory=Inner)

    def __post_init__(self) -> None:
        if self.tokens % 2:
            raise UsageError("'tokens' must be even", seen=self.tokens, expected="an even number")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"tokens": -5}, "'tokens'"),
        ({"tokens": 0}, "'tokens' is out of range"),
        ({"tokens": 1.5}, "'tokens'"),
        ({"tokens": "40k"}, "'tokens' has the wrong type"),
        ({"tokens": True}, "'tokens'"),
        ({"tokens": 3}, "'tokens' must be even"),
        ({"share": 1.5}, "'share'"),
        ({"share": -0.1}, "'share'"),
        ({"rate": float("nan")}, "'rate' must be finite"),
        ({"rate": -1.0}, "'rate' is out of range"),
        ({"limit": -1}, "'limit'"),
        ({"precision": "bf16"}, "'precision' has the wrong type"),
        ({"place": "disc"}, "'place' must be one of memory, disk"),
        ({"warm": "yes"}, "'warm' has the wrong type"),
        ({"schemes": ["int8"]}, "'schemes' has the wrong type"),
        ({"schemes": (8,)}, "'schemes.0' has the wrong type"),
        ({"labels": {"a": 1}}, "'labels.a' has the wrong type"),
        ({"inner": {"every": 1.0}}, "'inner' has the wrong type"),
    ],
)
def test_a_wrong_value_is_refused_by_name_in_python(values: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        Train(**values)
    assert not isinstance(caught.value, ConfigurationError)
    assert caught.value.seen is not None
    assert caught.value.expected is not None


def test_a_nested_object_checks_itself() -> None:
    with pytest.raises(UsageError, match="'every' is out of range"):
        Inner(every=0.0)


def test_a_changed_copy_is_checked_again() -> None:
    with pytest.raises(UsageError, match="'tokens'"):
        dataclasses.replace(Train(), tokens=-5)


def test_right_values_pass_and_an_int_may_stand_for_a_float() -> None:
    made = Train(tokens=2, rate=1, limit=2**60 + 2, labels={"a": "b"}, schemes=("int8",), inner=Inner(every=1))
    assert made == read_settings(Train, {**dataclasses.asdict(made), "precision": "bf16", "inner": {"every": 1}})


def test_settings_are_frozen_slotted_and_keyword_only() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Train().tokens = 4  # type: ignore[misc]
    with pytest.raises(TypeError):
        Train(4)  # type: ignore[call-arg]
    assert not hasattr(Train(), "__dict__")
