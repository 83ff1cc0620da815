"""A long or odd body costs its sender time, and nobody else."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bedplate.toolchain.serve.codec import FolderCodec
from bedplate.workers.serve import Server
from tests.service.openai.running import KEY, serving

HEADERS = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}


@pytest.fixture(scope="module")
def large_bodies(tiny_model: Path) -> Iterator[Server]:
    with serving(tiny_model) as server:
        yield server


@pytest.mark.parametrize("text", ["x", "the river ", "河"], ids=["one word", "words", "rare characters"])
@pytest.mark.parametrize("path", ["completions", "chat/completions"])
def test_a_prompt_that_cannot_fit_is_refused_before_it_is_encoded(large_bodies: Server, path: str, text: str) -> None:
    text = text * (7_000_000 // len(text.encode()))
    body = {"model": "tiny"} | (
        {"prompt": text} if path == "completions" else {"messages": [{"role": "user", "content": text}]}
    )
    content = json.dumps(body, ensure_ascii=False).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large_bodies.codec, "encode", None)
        answer = httpx.post(f"{large_bodies.url}/v1/{path}", content=content, headers=HEADERS)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "context_length_exceeded")


def test_the_event_loop_runs_while_a_long_text_is_encoded(tiny_model: Path) -> None:
    codec = FolderCodec(tiny_model)
    text, longest_s = "ab" * 1_000_000, 0.0
    work = threading.Thread(target=lambda: codec.encode(text, add_special_tokens=True))
    begin_s = last_s = time.perf_counter()
    work.start()
    while work.is_alive():
        time.sleep(0.001)
        longest_s, last_s = max(longest_s, time.perf_counter() - last_s), time.perf_counter()
    assert longest_s < (last_s - begin_s) / 2


def test_others_are_answered_while_a_request_is_prepared(large_bodies: Server) -> None:
    """The encoding of one request waits until another one was answered: on the event loop both would wait for ever."""
    answered, encode = threading.Event(), large_bodies.codec.encode

    def slow_encode(text: str, *, add_special_tokens: bool, control_tokens: bool = True) -> list[int]:
        assert answered.wait(20)
        return encode(text, add_special_tokens=add_special_tokens, control_tokens=control_tokens)

    results: list[int] = []
    body = {"model": "tiny", "prompt": "x", "max_tokens": 1}
    url = f"{large_bodies.url}/v1/completions"
    work = threading.Thread(target=lambda: results.append(httpx.post(url, json=body, headers=HEADERS, timeout=30).status_code))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large_bodies.codec, "encode", slow_encode)
        work.start()
        assert httpx.post(url, json=body | {"prompt": [5]}, headers=HEADERS, timeout=15).status_code == 200
        answered.set()
        work.join()
    assert results == [200]


def test_an_oversized_body_is_refused_even_without_a_declared_length(large_bodies: Server) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(120):
            yield b"x" * 100_000

    answer = httpx.post(f"{large_bodies.url}/v1/completions", content=parts(), headers=HEADERS, timeout=60)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")
