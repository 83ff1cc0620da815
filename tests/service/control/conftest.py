"""A real service for each test."""

from collections.abc import Iterator

import pytest

from tests.command_line import CommandLine
from tests.service.control.live_service import LiveService


@pytest.fixture
def service(command_line: CommandLine) -> Iterator[LiveService]:
    made = LiveService(command_line)
    try:
        yield made
    finally:
        made.close()
