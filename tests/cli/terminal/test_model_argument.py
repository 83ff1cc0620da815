"""A model is named in one way by every verb: MODEL or --model MODEL."""

import click
import pytest
from click.testing import CliRunner

from bedplate.cli.bench import serve as bench_serve
from bedplate.cli.compress import command as compress
from bedplate.cli.serve import command as serve
from bedplate.cli.terminal.model_argument import model_argument
from bedplate.core.errors import UsageError


@click.command()
@model_argument
def verb(model: str) -> None:
    click.echo(model)


@pytest.mark.parametrize("words", [["m"], ["--model", "m"], ["m", "--model", "m"]])
def test_both_forms_name_the_model(words: list[str]) -> None:
    assert CliRunner().invoke(verb, words).output == "m\n"


@pytest.mark.parametrize(("words", "what"), [([], "no model was given"), (["a", "--model", "b"], "two models were given")])
def test_none_and_two_are_refused(words: list[str], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        verb.main(words, standalone_mode=False)


@pytest.mark.parametrize("command", [serve, compress, bench_serve])
def test_every_verb_with_a_model_takes_both(command: click.Command) -> None:
    assert {"model_argument", "model_option"} <= {parameter.name for parameter in command.params}
