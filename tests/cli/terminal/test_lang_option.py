"""One switch for the language."""

import os

import click
import pytest
from click.testing import CliRunner

from bedplate.cli.terminal.lang_option import VARIABLE, lang_option


@click.command()
@lang_option
def verb() -> None:
    click.echo(os.environ.get(VARIABLE, "none"))


@pytest.mark.parametrize(("words", "language"), [(["--lang", "zh"], "zh"), (["--lang", "en"], "en"), ([], "none")])
def test_it_sets_the_language_of_the_process_until_the_command_ends(
    words: list[str], language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert CliRunner().invoke(verb, words).output.strip() == language
    assert VARIABLE not in os.environ


def test_the_language_of_the_environment_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "zh")
    assert CliRunner().invoke(verb, ["--lang", "en"]).output == "en\n"
    assert os.environ[VARIABLE] == "zh"


def test_another_language_is_refused() -> None:
    assert CliRunner().invoke(verb, ["--lang", "xx"]).exit_code == 2
