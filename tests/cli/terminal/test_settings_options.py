"""A verb's options are its settings class: same names, defaults, ranges and words, and errors that name the option."""

import enum
from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any

import click
import pytest
from click.testing import CliRunner

from bedplate.cli.terminal.settings_options import settings_options
from bedplate.core.errors import UsageError
from bedplate.core.settings import Range, read_settings, settings
from bedplate.core.units import ByteCount, Count, Duration, Fraction, Rate


class Precision(enum.StrEnum):
    BF16 = "bf16"
    FP32 = "fp32"


@settings
class Inner:
    """Nested."""

    at_step: Count
    """When."""
    kill: Annotated[int, Range(0)] = 0
    """Rank."""


@settings
class Job:
    """A job."""

    model: str
    """Folder of the `model`.

    A second paragraph is for the reference."""
    tokens: Annotated[Count, Range(1)] = 40_000
    """Training tokens."""
    learning_rate: float = 5e-5
    """Peak."""
    seed: int = 0
    """Order."""
    memory: ByteCount = 2_000_000_000
    """Tier."""
    wait: Duration = 120.0
    """Patience."""
    share: Fraction = 0.005
    """Share."""
    rate: Rate = 5e6
    """Floor."""
    precision: Precision = Precision.BF16
    """Format."""
    schemes: tuple[str, ...] = ("int8",)
    """Schemes."""
    auth: bool = True
    """Ask for a key."""
    verify: bool = False
    """Read all."""
    limit: Annotated[Count, Range(2)] | None = None
    """Most."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Not on a command line."""
    drill: Inner | None = None
    """Kill."""


@click.command()
@settings_options(Job, names={"schemes": "--scheme"}, environment={"model": "TEST_MODEL"})
def verb(settings: dict[str, Any]) -> None:
    click.echo(repr(settings))


def given(*words: str) -> dict[str, Any]:
    result = CliRunner().invoke(verb, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    read: dict[str, Any] = eval(result.output)
    return read


def test_what_is_not_given_is_left_to_the_class() -> None:
    assert given("--model", "m") == {"model": "m"}
    assert read_settings(Job, given("--model", "m")) == Job(model="m")


def test_every_kind_of_field_is_read_as_in_a_file() -> None:
    words = "--model m --tokens 1M --learning-rate 1e-4 --seed 7 --memory 4GiB --wait 5m --share 1% --rate 400Gb/s"
    more = "--precision fp32 --scheme int8 --scheme fp8 --no-auth --verify --limit 4k --drill-at-step 3 --drill-kill 1"
    read = read_settings(Job, given(*words.split(), *more.split()))
    assert read == Job(
        model="m",
        tokens=1_000_000,
        learning_rate=1e-4,
        seed=7,
        memory=4 * 2**30,
        wait=300.0,
        share=0.01,
        rate=50e9,
        precision=Precision.FP32,
        schemes=("int8", "fp8"),
        auth=False,
        verify=True,
        limit=4000,
        drill=Inner(at_step=3, kill=1),
    )


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--tokens", "0"), "'--tokens' is out of range"),
        (("--wait", "-1s"), "'--wait'"),
        (("--seed", "1.5"), "'--seed' has the wrong type"),
        (("--seed", "many"), "'--seed' has the wrong type"),
        (("--learning-rate", "nan"), "'--learning-rate' must be finite"),
        (("--precision", "bf61"), "'--precision' must be one of bf16, fp32"),
        (("--drill-kill", "-1"), "'--drill-kill' is out of range"),
    ],
)
def test_a_wrong_value_names_its_option(words: tuple[str, str], what: str) -> None:
    with pytest.raises(UsageError, match=what) as raised:
        verb.main(["--model", "m", *words], standalone_mode=False)
    assert raised.value.seen == words[1]


def test_a_required_setting_is_asked_for_and_a_variable_may_stand_in() -> None:
    assert CliRunner().invoke(verb, []).exit_code == 2
    assert CliRunner().invoke(verb, [], env={"TEST_MODEL": "m"}).output == "{'model': 'm'}\n"


def test_help_has_texts_defaults_as_people_write_them_and_ranges() -> None:
    text = " ".join(CliRunner().invoke(verb, ["--help"], terminal_width=300).output.split())
    for piece in (
        "--model TEXT Folder of the model. ",
        "--tokens COUNT Training tokens. [default: 40k; at least 1]",
        "--memory BYTES Tier. [default: 2GB]",
        "--wait SECONDS Patience. [default: 2m]",
        "--share FRACTION Share. [default: 0.5%]",
        "--rate BYTES/S Floor. [default: 5MB/s]",
        "--precision bf16|fp32 Format. [default: bf16]",
        "--scheme TEXT Schemes. [default: int8; may be repeated]",
        "--auth / --no-auth Ask for a key. [default: true]",
        "--limit COUNT Most. [at least 2]",
    ):
        assert piece in text
    assert "second paragraph" not in text
    assert "--labels" not in text


@settings
class Errand:
    """Another question of the same verb."""

    where: str
    """Place."""
    seed: str = "1:3"
    """Range of seeds."""


@click.command()
@settings_options(Job, Errand)
def verb_of_two(settings: dict[str, Any]) -> None:
    click.echo(repr(settings))


def test_a_verb_of_several_questions_takes_the_options_of_all_and_requires_none() -> None:
    result = CliRunner().invoke(verb_of_two, ["--where", "here", "--seed", "4"], catch_exceptions=False)
    assert eval(result.output) == {"where": "here", "seed": 4}, "of an option that both have, the first one's form"
    with pytest.raises(UsageError, match="model"):
        read_settings(Job, {"seed": 4})
    assert CliRunner().invoke(verb_of_two, [], catch_exceptions=False).output == "{}\n"
