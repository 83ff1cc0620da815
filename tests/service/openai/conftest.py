"""One server for a module, and two clients of it."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest

from bedplate.toolchain.serve.settings import EngineSettings
from bedplate.workers.serve import Server
from tests.service.openai.running import KEY, serving


@pytest.fixture(scope="module")
def server(tiny_model: Path) -> Iterator[Server]:
    with serving(tiny_model, engine=EngineSettings(max_batch=2, queue_size=2), max_body=200_000) as server:
        yield server


@pytest.fixture
def client(server: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key=KEY, max_retries=0)


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {KEY}"}, timeout=30) as http:
        yield http
