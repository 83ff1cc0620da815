"""The reference in docs/ is what the settings classes and the command line say today."""

import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from bedplate.app.pipeline.file.schema import pipeline_schema
from bedplate.documents.reading import parse_document

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs") / "reference"
    subprocess.run([sys.executable, "-m", "bedplate.cli.reference", str(folder)], check=True, timeout=120)
    return folder


@pytest.mark.parametrize("name", ["pipeline-files.md", "pipeline.schema.json", "commands.md"])
def test_the_page_is_current(written: Path, name: str) -> None:
    assert (REFERENCE / name).read_text() == (written / name).read_text(), "run: make reference"


def test_there_are_no_other_pages(written: Path) -> None:
    assert {file.name for file in REFERENCE.iterdir()} == {file.name for file in written.iterdir()}


def valid(text: str) -> bool:
    document = parse_document(text, "file.yaml", Path())
    return bool(jsonschema.Draft202012Validator(pipeline_schema()).is_valid(document.value))


def test_the_schema_takes_the_examples() -> None:
    files = sorted((ROOT / "examples").glob("*.yaml"))
    assert files
    for file in files:
        assert valid(file.read_text()), file


@pytest.mark.parametrize(
    "text",
    [
        "steps: {a: {use: score}}",
        "{version: 2, steps: {a: {use: score}}}",
        "{version: 1, steps: {}}",
        "{version: 1, steps: {a: {use: scor}}}",
        "{version: 1, steps: {a: {use: score, titel: x}}}",
        "{version: 1, steps: {a b: {use: score}}}",
        "{version: 1, needs: {workers: {want: 0}}, steps: {a: {use: score}}}",
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(text: str) -> None:
    assert not valid(text)
