"""Fixtures that many tests share: the generated model and text, made once a session. Nobody writes into them."""

from pathlib import Path

import pytest

from tests.command_line import CommandLine
from tests.tiny_model import make_tiny_model, write_tiny_text


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a generated Llama of four million parameters with a tokenizer and a ChatML template."""
    return make_tiny_model(tmp_path_factory.mktemp("tiny-model"))


@pytest.fixture(scope="session")
def tiny_text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A .jsonl file of 240 generated documents."""
    return write_tiny_text(tmp_path_factory.mktemp("tiny-text") / "tiny.jsonl")


@pytest.fixture
def command_line(tmp_path: Path) -> CommandLine:
    """The real `bedplate` with a state folder of its own and the use cases of `tests/app/steps`."""
    return CommandLine(folder=tmp_path)
