"""Settings are read from plain values into frozen dataclasses; what is wrong is named with its line and the right word."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest

from bedplate.core.errors import ConfigurationError, UsageError
from bedplate.core.settings import Range, Source, read_settings, setting_fields, settings
from bedplate.core.units import ByteCount, Count, Duration, Fraction


class Precision(enum.StrEnum):
    BF16 = "bf16"
    FP32 = "fp32"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Where and when."""

    every: Duration = 60.0
    """Time between two."""
    where: Literal["memory", "disk"] = "memory"
    """Kind of store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Train:
    """A job."""

    model: str
    """Folder of the model."""
    tokens: Annotated[Count, Range(1)] = 1000
    """Tokens to train on."""
    precision: Precision = Precision.BF16
    limit: ByteCount | None = None
    validation: Fraction = 0.05
    learning_rate: Annotated[float, Range(0, 1)] = 1e-4
    warm: bool = False
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    schemes: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    anything: Any = None

    def __post_init__(self) -> None:
        if self.warm and self.tokens < 10:
            raise UsageError("too few tokens to warm up", seen=self.tokens, expected="10 or more")


def test_plain_values_become_settings() -> None:
    read = read_settings(
        Train,
        {
            "model": "tiny",
            "tokens": "40k",
            "precision": "fp32",
            "limit": "2GB",
            "validation": "10%",
            "learning_rate": 1,
            "checkpoint": {"every": "5m", "where": "disk"},
            "schemes": ["int8"],
            "labels": {"team": "a"},
            "anything": [1, {"two": 2}],
        },
    )
    assert read == Train(
        model="tiny",
        tokens=40_000,
        precision=Precision.FP32,
        limit=2 * 10**9,
        validation=0.1,
        learning_rate=1.0,
        checkpoint=Checkpoint(every=300.0, where="disk"),
        schemes=("int8",),
        labels={"team": "a"},
        anything=[1, {"two": 2}],
    )
    assert isinstance(read.learning_rate, float)


def test_what_is_left_out_has_its_default() -> None:
    assert read_settings(Train, {"model": "tiny"}) == Train(model="tiny")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({}, "'model' is missing"),
        ({"model": 7}, "'model' has the wrong type"),
        ({"model": "m", "tokens": 0}, "'tokens' is out of range"),
        ({"model": "m", "tokens": "5 apples"}, "'tokens'.*is not a unit"),
        ({"model": "m", "tokens": None}, "'tokens' must be in count"),
        ({"model": "m", "learning_rate": 1.5}, "'learning_rate' is out of range"),
        ({"model": "m", "learning_rate": True}, "'learning_rate' has the wrong type"),
        ({"model": "m", "warm": 1}, "'warm' has the wrong type"),
        ({"model": "m", "precision": "fp8"}, "'precision' must be one of bf16, fp32"),
        ({"model": "m", "checkpoint": {"where": "disc"}}, "'checkpoint.where' must be one of memory, disk"),
        ({"model": "m", "checkpoint": "often"}, "'checkpoint' must be a mapping"),
        ({"model": "m", "schemes": "int8"}, "'schemes' must be a list"),
        ({"model": "m", "schemes": [8]}, "'schemes.0' has the wrong type"),
        ({"model": "m", "labels": []}, "'labels' must be a mapping"),
        ([], "must be a mapping"),
        ({"model": "m", "warm": True, "tokens": 5}, "too few tokens to warm up"),
    ],
)
def test_what_is_wrong_is_named(value: object, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        read_settings(Train, value)
    assert caught.value.seen is not None
    assert caught.value.expected is not None


def test_an_unknown_key_is_named_with_its_line_and_the_nearest_key() -> None:
    source = Source(file="job.yaml", lines={(): 1, ("checkpoint",): 4, ("checkpoint", "evry"): 5})
    with pytest.raises(ConfigurationError, match=r"^job\.yaml:5: unknown key 'evry'") as caught:
        read_settings(Train, {"model": "m", "checkpoint": {"evry": "5m"}}, source)
    assert caught.value.next_step == "did you mean 'every'?"


def test_a_key_without_a_line_has_that_of_its_parent() -> None:
    source = Source(file="job.yaml", lines={("checkpoint",): 4})
    with pytest.raises(ConfigurationError, match=r"^job\.yaml:4: "):
        read_settings(Train, {"model": "m", "checkpoint": {"every": "soon"}}, source)
    assert Source(file="job.yaml").where(("tokens",)) == "job.yaml"
    assert Source().where(("tokens",)) is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """On or off."""

    kv: Literal["on", "off"] = "off"


def test_a_python_or_json_true_where_a_word_is_expected_is_on() -> None:
    assert read_settings(Switch, {"kv": True}).kv == "on"
    assert read_settings(Switch, {"kv": False}).kv == "off"


@pytest.mark.parametrize(("written", "read"), [("on", True), ("yes", True), ("off", False), ("no", False), ("true", True)])
def test_words_mean_a_boolean_only_where_one_is_expected(written: str, read: bool) -> None:
    assert read_settings(Train, {"model": written, "warm": written}) == Train(model=written, warm=read)


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    version: Literal[1] = 1
    seed: int = 0
    rate: float = 0.0


@pytest.mark.parametrize("version", [True, 1.0, "1", 2])
def test_a_choice_of_numbers_takes_that_number_only(version: object) -> None:
    with pytest.raises(ConfigurationError, match="'version' must be 1"):
        read_settings(Numbers, {"version": version})


def test_a_whole_number_may_be_written_as_1e5() -> None:
    assert read_settings(Numbers, {"seed": 1e5}) == Numbers(seed=100_000)
    with pytest.raises(ConfigurationError, match="wrong type"):
        read_settings(Numbers, {"seed": 1.5})


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_not_finite_is_refused(rate: float) -> None:
    with pytest.raises(ConfigurationError, match="'rate' must be finite"):
        read_settings(Numbers, {"rate": rate})


def test_a_number_in_place_of_text_says_how_to_quote_it() -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_settings(Train, {"model": 7})
    assert caught.value.next_step == "write it in quotes: '7'"


def test_fields_are_described_with_type_default_and_text() -> None:
    described = setting_fields(Train)
    assert list(described)[:2] == ["model", "tokens"]
    assert (described["model"].default_text, described["model"].text) == (None, "Folder of the model.")
    assert described["model"].is_required
    assert str(described["tokens"].value_type) == "count, like 40k, at least 1"
    assert described["precision"].default_text == "bf16"
    assert str(described["precision"].value_type) == "bf16 | fp32"
    assert described["precision"].text == ""


def test_the_bounds_of_a_quantity_are_written_as_people_write_it() -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_settings(Waiting, {"wait": "1ms"})
    assert caught.value.expected == "100ms to 5m"


@settings
class Waiting:
    """A wait."""

    wait: Annotated[Duration, Range(0.1, 300)] = 1.0
    """How long."""


@pytest.mark.parametrize(
    ("bounds", "text"), [(Range(1), "at least 1"), (Range(None, 5), "at most 5"), (Range(0, 0.5), "0 to 0.5")]
)
def test_a_range_reads_as_words(bounds: Range, text: str) -> None:
    assert str(bounds) == text


def test_a_class_without_source_has_fields_and_no_texts() -> None:
    names: dict[str, Any] = {"settings": settings}
    exec("@settings\nclass Typed:\n    a: int = 1\n", names)
    (field,) = setting_fields(names["Typed"]).values()
    assert (field.key, field.text, field.default_text) == ("a", "", "1")
