"""The load client and the tasks around it: what happens when it dies, and how a peer is measured."""

import contextlib
import http.server
import json
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import psutil
import pytest

from bedplate.core.errors import BedplateError, TaskError, UnavailableError
from bedplate.core.json import Json, JsonObject
from bedplate.core.messages import decode
from bedplate.core.task import TaskContext
from bedplate.toolchain.load.messages import LoadResult
from bedplate.toolchain.serve.task import ServeTask
from bedplate.workers import peer_load, serve_load
from bedplate.workers.serve import open_server

LOAD: JsonObject = {"kind": "chat", "streams": 2, "turns": 3, "shared_tokens": 40, "prompt_tokens": 20, "output_tokens": 5}


class Channel:
    """Keeps what a task reports."""

    def __init__(self) -> None:
        self.reported: list[Mapping[str, Json]] = []

    def heartbeat(self) -> None:
        pass

    def progress(self, attributes: Mapping[str, Json]) -> None:
        self.reported.append(attributes)


def context(spec: JsonObject, channel: Channel | None = None) -> TaskContext:
    channel = channel or Channel()
    return TaskContext(gang="load", rank=0, world_size=1, rendezvous="127.0.0.1:0", spec=spec, channel=channel)


def error_of(result: JsonObject) -> BedplateError:
    reported = result["error"]
    assert isinstance(reported, dict)
    return BedplateError.from_json(reported)


def test_a_load_client_that_is_killed_fails_the_measurement(tiny_model: Path) -> None:
    spec: JsonObject = {"serve": {"model": str(tiny_model), "name": "tiny"}, "load": {**LOAD, "output_tokens": 2000}}

    def kill_the_client() -> None:
        deadline_s = time.monotonic() + 30
        while time.monotonic() < deadline_s:
            for child in psutil.Process().children():
                with contextlib.suppress(psutil.Error):  # another child that has just ended
                    if "bedplate.workers.load" in child.cmdline():
                        child.send_signal(signal.SIGKILL)
                        return
            time.sleep(0.05)

    killer = threading.Thread(target=kill_the_client)
    killer.start()
    error = error_of(serve_load.main(context(spec)))
    killer.join()
    assert isinstance(error, TaskError)
    assert "the load client was killed" in str(error)
    assert "SIGKILL" in str(error)


def test_a_refused_request_fails_with_the_servers_message(tiny_model: Path) -> None:
    spec: JsonObject = {"serve": {"model": str(tiny_model), "name": "tiny"}, "load": {**LOAD, "prompt_tokens": 5000}}
    error = error_of(serve_load.main(context(spec)))
    assert isinstance(error, TaskError)
    assert "context" in str(error)


@contextlib.contextmanager
def serving(model: Path) -> Iterator[str]:
    with open_server(ServeTask(model=str(model), name="tiny", api_key="a-key"), "kv:?memory=50MB") as server:
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            yield server.url
        finally:
            server.stop()
            thread.join()


def test_a_peer_that_names_its_tokens_gets_them_sent_back(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")
    channel = Channel()
    with serving(tiny_model) as url:
        spec: JsonObject = {"url": url + "/v1/", "model": str(tiny_model), "load": {**LOAD, "prompt_tokens": 100}}
        result = decode(LoadResult, peer_load.main(context(spec, channel)))
    assert result.engine == "bedplate"
    assert [(item.conversation, item.turn) for item in result.requests] == [(c, t) for c in range(2) for t in range(3)]
    assert [item.prompt_tokens for item in result.requests[:3]] == [140, 245, 350]
    assert all(len(item.tokens) == item.num_tokens == 5 for item in result.requests)
    assert sum(item.cached_tokens or 0 for item in result.requests) > 0
    assert [item["done"] for item in channel.reported] == [1, 2, 3, 4, 5, 6]


class PlainServer(http.server.BaseHTTPRequestHandler):
    """An OpenAI-compatible server without extensions: text only, usage, comments in the stream."""

    protocol_version = "HTTP/1.1"
    prompts: ClassVar[list[list[int]]] = []

    def log_message(self, *words: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer(json.dumps({"data": [{"id": "some-model", "owned_by": "someone"}]}).encode())

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert (self.path, body["model"]) == ("/base/v1/completions", "some-model")
        PlainServer.prompts.append(body["prompt"])
        chunks: list[dict[str, Any]] = [{"choices": [{"text": text}]} for text in ("one", "", " two", "")]
        usage = {"prompt_tokens": len(body["prompt"]), "completion_tokens": body["max_tokens"]}
        chunks.append({"choices": [], "usage": usage})
        lines = [b": a comment", *(b"data: " + json.dumps(chunk).encode() for chunk in chunks), b"data: [DONE]"]
        self._answer(b"\n\n".join(lines) + b"\n\n")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def test_a_peer_without_token_ids_gets_prompts_of_the_same_length(tiny_model: Path) -> None:
    PlainServer.prompts.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), PlainServer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}/base"
        spec: JsonObject = {"url": url, "model": str(tiny_model), "load": {**LOAD, "streams": 1}}
        result = decode(LoadResult, peer_load.main(context(spec)))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert result.engine == "someone"
    assert [item.prompt_tokens for item in result.requests] == [60, 85, 110]
    assert [(item.tokens, item.num_tokens, item.cached_tokens) for item in result.requests] == [((), 5, None)] * 3
    _, first, second, _ = PlainServer.prompts
    assert second[:60] == first


@pytest.mark.parametrize("answer", [None, b"hello"], ids=["nothing listens", "not the API"])
def test_a_peer_that_is_none_is_unavailable(tiny_model: Path, answer: bytes | None) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *words: Any) -> None:
            pass

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer or b"")

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        if answer is None:
            server.shutdown()
            server.server_close()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        error = error_of(peer_load.main(context({"url": url, "model": str(tiny_model), "load": LOAD})))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert isinstance(error, UnavailableError)
    assert url in str(error)
