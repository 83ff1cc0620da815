"""Who may use the server: with a key whoever has it, without one programs on this machine and no web page."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bedplate.core.errors import UsageError
from bedplate.toolchain.serve.task import ServeTask
from bedplate.workers.serve import Server
from tests.service.openai.running import serving

BODY = {"model": "tiny", "prompt": "x", "max_tokens": 1}


@pytest.fixture(scope="module")
def open_to_all(tiny_model: Path) -> Iterator[Server]:
    with serving(tiny_model, api_key=None) as server:
        yield server


def ask(server: Server, headers: dict[str, str]) -> httpx.Response:
    return httpx.post(f"{server.url}/v1/completions", json=BODY, headers=headers, timeout=30)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost:{port}", "LOCALHOST", "[::1]:{port}", "127.9.9.9:80", "app.localhost"]
)
def test_without_a_key_this_machines_names_are_answered(open_to_all: Server, host: str) -> None:
    assert ask(open_to_all, {"Host": host.format(port=open_to_all.port)}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.5"]
)
def test_without_a_key_a_name_that_somebody_pointed_here_is_refused(open_to_all: Server, host: str) -> None:
    answer = ask(open_to_all, {"Host": host.format(port=open_to_all.port)})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "host_not_allowed")
    models = httpx.get(f"{open_to_all.url}/v1/models", headers={"Host": "evil.example"})
    assert models.status_code == 403


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://localhost:3000", 200), ("http://127.0.0.1", 200), ("https://evil.example", 403), ("null", 403)],
)
def test_without_a_key_pages_of_other_sites_are_refused(open_to_all: Server, origin: str, status: int) -> None:
    assert ask(open_to_all, {"Origin": origin}).status_code == status


@pytest.mark.parametrize("declared", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
def test_a_body_that_a_form_could_send_is_refused(open_to_all: Server, declared: str | None) -> None:
    headers = {} if declared is None else {"Content-Type": declared}
    answer = httpx.post(f"{open_to_all.url}/v1/completions", content=b'{"model": "tiny", "prompt": "x"}', headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_media_type")


def test_json_with_a_charset_is_json(open_to_all: Server) -> None:
    assert ask(open_to_all, {"Content-Type": "application/json; charset=utf-8"}).status_code == 200


@pytest.mark.parametrize("key", ["", " ", "s3cret ", " s3cret", "s3 cret", "s3crét", "s3cret\n", "s3cret\x00"])
def test_a_key_that_nobody_can_send_is_refused_at_the_start(key: str) -> None:
    with pytest.raises(UsageError, match="API key") as caught:
        ServeTask(model="m", name="m", api_key=key)
    assert "s3" not in str(caught.value)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "gpu-7"])
def test_without_a_key_only_this_machine_is_listened_to(host: str) -> None:
    with pytest.raises(UsageError, match="this machine only"):
        ServeTask(model="m", name="m", host=host)


@pytest.mark.parametrize(
    "words", [{"api_key": "k"}, {"host": "localhost"}, {"host": "::1"}, {"api_key": "k", "host": "0.0.0.0"}]
)
def test_other_combinations_are_fine(words: dict[str, Any]) -> None:
    ServeTask(model="m", name="m", **words)
