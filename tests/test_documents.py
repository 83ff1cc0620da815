"""What the documents tell people to type is there: every command parses, every file and folder that is named exists."""

import re
import shlex
from pathlib import Path

import click
import pytest

from bedplate.cli.main import command as root_command
from tests.command_line import CommandLine

REPOSITORY = Path(__file__).parents[1]
DOCUMENTS = [REPOSITORY / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")] + sorted(
    (REPOSITORY / "docs").glob("*.md")
)


def commands() -> list[tuple[str, str]]:
    """(document, command line) of every line in a code block that starts with `bedplate`."""
    found = []
    for document in DOCUMENTS:
        for block in re.findall(r"```sh\n(.*?)```", document.read_text(), re.DOTALL):
            lines = [line.split("  #")[0].strip() for line in block.splitlines()]
            found += [(document.name, line) for line in lines if line.startswith("bedplate ")]
    return found


@pytest.mark.parametrize(("document", "line"), commands())
def test_commands_in_the_documents_parse(document: str, line: str) -> None:
    words = shlex.split(line)[1:]
    verb: click.Command = root_command
    context = click.Context(root_command)
    while isinstance(verb, click.Group):
        name = words.pop(0)
        found = verb.get_command(context, name)
        assert found is not None, f"{document}: no verb '{name}' in: {line}"
        verb, context = found, click.Context(found, info_name=name, parent=context)
    verb.make_context("bedplate", words, resilient_parsing=False)


RUN_ELSEWHERE = {
    "run": "takes ten minutes; tests/end_to_end runs a lifecycle of the same steps",
    "serve": "runs until it is stopped; tests/workers/test_serving.py",
    "model": "needs the network; tests/app/toolchain/models",
    "train": "needs a model and minutes; tests/cli/test_train.py",
    "compress": "needs a model; tests/app/toolchain/test_compress.py",
    "bench": "needs a model; tests/app/toolchain/serve/test_bench.py",
    "up": "leaves a service behind; tests/service/control/test_life.py",
    **dict.fromkeys(
        ("submit", "queue", "cancel", "quota", "nodes", "users"),
        "needs a service that runs; tests/service/control/test_access.py",
    ),
}
"""First word of a command that the test below does not run, and why."""


@pytest.fixture(scope="module")
def place_with_a_run(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """A state in which one small run was finished, with the examples next to it."""
    place = CommandLine(folder=tmp_path_factory.mktemp("documents"))
    (place.folder / "examples").symlink_to(REPOSITORY / "examples")
    pipeline = place.write("version: 1\nname: small\nsteps:\n  a: {use: test.write}\n  score: {use: score, after: [a]}\n")
    result = place.call("run", pipeline)
    assert result.code == 0, result.err
    return place


@pytest.mark.parametrize(("document", "line"), [item for item in commands() if item[1].split()[1] not in RUN_ELSEWHERE])
def test_a_command_in_the_documents_runs(place_with_a_run: CommandLine, document: str, line: str) -> None:
    caches = {"XDG_CACHE_HOME": str(place_with_a_run.folder / "cache")}
    result = place_with_a_run.call(*shlex.split(line)[1:], environment=caches)
    assert result.code == 0, f"{document}: {line}\n{result.err}"
    assert result.out


def test_there_are_commands_to_check() -> None:
    assert len(commands()) >= 8


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text()):
        assert (document.parent / target).exists(), target


def test_the_map_names_every_room() -> None:
    block = re.search(r"```text\nsrc/bedplate/\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)
    assert block is not None
    rooms = {folder.name for folder in (REPOSITORY / "src" / "bedplate").iterdir() if (folder / "__init__.py").is_file()}
    assert rooms - set(re.findall(r"^  (\w+)/", block[1], re.MULTILINE)) == set()
