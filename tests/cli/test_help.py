"""Every verb and every group explains itself in the same form, with an example that the command line takes."""

import re
import shlex
from collections.abc import Iterator

import click
import pytest

from bedplate.cli.main import command as root


def commands(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from commands(found, (*path, name))


ALL = dict(commands(root, ("bedplate",)))


def help_of(path: tuple[str, ...]) -> str:
    return ALL[path].get_help(click.Context(ALL[path], info_name=" ".join(path), help_option_names=["-h", "--help"]))


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_help_has_an_example_of_that_command(path: tuple[str, ...]) -> None:
    _, heading, examples = help_of(path).partition("Example")
    assert heading, "no example"
    lines = re.findall(rf"^\s+{' '.join(path)}\b.*", examples, re.MULTILINE)
    assert lines, "the example is of another command"
    for line in lines:
        words = shlex.split(re.split(r"  +(?=\S)", line.strip())[0].rstrip("\\"))[1:]
        if "\\" not in line:
            check(root, click.Context(root), words)


def check(command: click.Command, context: click.Context, words: list[str]) -> None:
    while isinstance(command, click.Group) and not (command.invoke_without_command and not words):
        found = command.get_command(context, words.pop(0))
        assert found is not None
        command, context = found, click.Context(found, parent=context)
    command.make_context("bedplate", words, resilient_parsing=False)


@pytest.mark.parametrize("path", [path for path, command in ALL.items() if isinstance(command, click.Group)], ids=" ".join)
def test_a_group_lists_its_commands_under_the_same_heading(path: tuple[str, ...]) -> None:
    commands = help_of(path).partition("\nCommands:\n")[2]
    assert commands and "..." not in commands, "cut off"


@pytest.mark.parametrize("path", [path for path, command in ALL.items() if not isinstance(command, click.Group)], ids=" ".join)
def test_every_command_prints_json_when_asked_and_explains_each_option(path: tuple[str, ...]) -> None:
    options = [parameter for parameter in ALL[path].params if isinstance(parameter, click.Option)]
    assert "output" in {option.name for option in options}
    assert [option.name for option in options if not option.help] == []
