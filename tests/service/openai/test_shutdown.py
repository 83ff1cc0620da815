"""A server that stops says so: 503 to new requests, an error to those that it cuts, and what is quick still finishes."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from bedplate.workers.serve import Server
from tests.service.openai.running import KEY, serving, wait_for

HEADERS = {"Authorization": f"Bearer {KEY}"}
LONG = {"model": "tiny", "prompt": "x", "max_tokens": 4000, "ignore_eos": True}


@pytest.fixture
def server(tiny_model: Path) -> Iterator[Server]:
    with serving(tiny_model, drain=1.0) as server:
        yield server


def stop_during(server: Server, body: dict[str, Any]) -> tuple[list[str], httpx.Response, httpx.Response]:
    """Lines of a stream that is under way when the server is told to stop, and what others are told while it drains."""
    with httpx.stream(
        "POST", f"{server.url}/v1/completions", json=body | {"stream": True}, headers=HEADERS, timeout=30
    ) as stream:
        lines = stream.iter_lines()
        first = next(lines)
        server.stop()
        wait_for(lambda: httpx.get(f"{server.url}/health").status_code == 503)
        health = httpx.get(f"{server.url}/health")
        refused = httpx.post(f"{server.url}/v1/completions", json=body, headers=HEADERS)
        return [first, *lines], health, refused


def test_shutdown_answers_503_and_ends_cut_streams_with_an_error(server: Server) -> None:
    lines, health, refused = stop_during(server, LONG)
    assert health.json()["status"] == "stopping"
    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) >= 1
    assert refused.json()["error"]["code"] == "server_shutting_down"
    events = [line for line in lines if line]
    assert '"code":"server_shutting_down"' in events[-1]
    assert all('"error"' not in event and "[DONE]" not in event for event in events[:-1])


def test_an_answer_in_one_piece_that_is_cut_is_a_503(server: Server) -> None:
    answers: list[httpx.Response] = []
    thread = threading.Thread(
        target=lambda: answers.append(httpx.post(f"{server.url}/v1/completions", json=LONG, headers=HEADERS, timeout=30))
    )
    thread.start()
    wait_for(lambda: server.engine.statistics().running == 1)
    server.stop()
    thread.join()
    assert (answers[0].status_code, answers[0].json()["error"]["code"]) == (503, "server_shutting_down")
    assert "Retry-After" in answers[0].headers


def test_what_finishes_in_time_is_complete(tiny_model: Path) -> None:
    with serving(tiny_model, drain=30.0) as server:
        start_s = time.monotonic()
        lines, _, _ = stop_during(server, LONG | {"max_tokens": 150})
    assert lines[-2:] == ["data: [DONE]", ""]
    assert time.monotonic() - start_s < 25


def test_the_official_client_sees_the_error_in_the_stream(server: Server) -> None:
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key=KEY, max_retries=0)
    stream = client.completions.create(model="tiny", prompt="x", max_tokens=4000, stream=True, extra_body={"ignore_eos": True})
    next(stream)
    server.stop()
    with pytest.raises(openai.APIError, match="shutting down"):
        list(stream)


def test_a_request_that_was_accepted_may_finish_all_its_choices(tiny_model: Path) -> None:
    answers: list[httpx.Response] = []
    body = LONG | {"prompt": [[number] for number in range(8)], "max_tokens": 60}
    with serving(tiny_model, drain=30.0, parallel_choices=2) as server:
        thread = threading.Thread(
            target=lambda: answers.append(httpx.post(f"{server.url}/v1/completions", json=body, headers=HEADERS, timeout=60))
        )
        thread.start()
        wait_for(lambda: server.engine.statistics().finished >= 1)
        server.stop()
        thread.join()
    assert answers[0].status_code == 200, answers[0].text
    assert [len(choice["text"]) > 0 for choice in answers[0].json()["choices"]] == [True] * 8
