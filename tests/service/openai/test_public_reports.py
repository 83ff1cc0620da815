"""Faults that users of other servers reported in public, each tried on ours with a small input."""

import contextlib
import json
import math
import socket
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from bedplate.core.generation import TokenLogprobs
from bedplate.service.openai.answers.logprobs import CompletionLogprobs, ScoredToken, chat_logprobs
from bedplate.toolchain.serve.settings import EngineSettings
from bedplate.workers.serve import Server
from tests.service.openai.codecs import Bytes
from tests.service.openai.running import KEY, is_idle, serving, wait_for

HEADERS = {"Authorization": f"Bearer {KEY}"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 5}'}}


@pytest.mark.parametrize(
    "assistant",
    [
        {"content": ""},
        {"content": []},
        {"content": None},
        {"content": "Yes.", "tool_calls": None},
        {"content": "Yes.", "tool_calls": []},
        {"content": [{"type": "text", "text": "Yes."}], "refusal": None, "audio": None, "function_call": None},
    ],
    ids=["empty", "no parts", "null", "calls null", "no calls", "fields of an answer"],
)
def test_an_earlier_answer_may_have_any_form(http: httpx.Client, assistant: dict[str, Any]) -> None:
    """vllm-project/vllm#21089, i-am-bee/beeai-framework#640, microsoft/autogen#5814."""
    messages = [{"role": "user", "content": "A"}, {"role": "assistant"} | assistant, {"role": "user", "content": "B"}]
    answer = http.post("/v1/chat/completions", json={"model": "tiny", "messages": messages, "max_tokens": 2})
    assert answer.status_code == 200, answer.text


def test_parts_of_text_and_a_call_without_content_are_taken_together(tiny_model: Path, tmp_path: Path) -> None:
    """0xPlaygrounds/rig#1362: the second turn of a conversation with tools."""
    folder = tmp_path / "model"
    folder.mkdir()
    for file in tiny_model.iterdir():
        (folder / file.name).symlink_to(file)
    (folder / "chat_template.jinja").write_text(
        "{% for m in messages %}{{ m.role }}: {{ m.content }}{% for c in m.tool_calls %}{{ c.function | tojson }}{% endfor %}\n"
        "{% endfor %}"
    )
    text = [{"type": "text", "text": "Calculate"}]
    messages = [
        {"role": "system", "content": text},
        {"role": "user", "content": text},
        {"role": "assistant", "content": [], "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "8"}]},
    ]
    with serving(folder) as server:
        body = {"model": "tiny", "messages": messages, "max_tokens": 2}
        answer = httpx.post(f"{server.url}/v1/chat/completions", json=body, headers=HEADERS, timeout=30)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("field", ["max_tokens", "temperature", "stop", "logprobs", "seed", "stream", "n"])
def test_an_explicit_null_is_the_default(http: httpx.Client, field: str) -> None:
    """vllm-project/vllm#19862: `max_tokens: null` was an internal error."""
    assert http.post("/v1/completions", json={"model": "tiny", "prompt": "x", field: None}).status_code == 200


@pytest.mark.parametrize("sampling", [{"temperature": 1, "top_p": 0.01}, {"temperature": 0}, {"temperature": 2, "n": 2}])
def test_echoed_scores_do_not_depend_on_sampling(http: httpx.Client, sampling: dict[str, Any]) -> None:
    """vllm-project/vllm#10234: echo with sampling was an internal error."""
    body = {"model": "tiny", "prompt": "correct horse battery staple", "echo": True, "logprobs": 1, "max_tokens": 1}
    plain = http.post("/v1/completions", json=body | {"temperature": 0}).json()["choices"][0]["logprobs"]
    for choice in http.post("/v1/completions", json=body | sampling).json()["choices"]:
        assert choice["logprobs"]["token_logprobs"][1:-1] == plain["token_logprobs"][1:-1]


def test_echo_has_an_entry_for_each_prompt_token_and_the_new_one(http: httpx.Client) -> None:
    """ggml-org/llama.cpp#27174, abetlen/llama-cpp-python#349: harnesses scored zeros without an error."""
    body = {"model": "tiny", "prompt": "the river", "echo": True, "logprobs": 1, "max_tokens": 1, "temperature": 0}
    answer = http.post("/v1/completions", json=body).json()
    entries = answer["choices"][0]["logprobs"]["token_logprobs"]
    assert len(entries) == answer["usage"]["prompt_tokens"] + 1
    assert entries[0] is None
    assert all(entry < 0 for entry in entries[1:])


def test_impossible_tokens_have_scores_that_json_can_hold() -> None:
    """sgl-project/sglang#5984, vllm-project/vllm#19661: minus infinity was an internal error."""
    scored = ScoredToken(
        token=65, logprobs=TokenLogprobs(token=65, logprob=-math.inf, top=((66, 0.0), (67, -math.inf))), offset=0
    )
    lists = CompletionLogprobs(num_top=2, codec=Bytes())
    lists.add([scored])
    for document in (lists.as_json(), chat_logprobs(Bytes(), [scored])):
        assert "-9999.0" in json.dumps(document, allow_nan=False)


def test_chats_have_logprobs_streamed_or_not(client: openai.OpenAI) -> None:
    """abetlen/llama-cpp-python#1787 and #197."""
    ask: dict[str, Any] = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}], "logprobs": True, "max_tokens": 3}
    choice = client.chat.completions.create(**ask, temperature=0).choices[0]
    assert choice.logprobs is not None and choice.logprobs.content
    assert choice.logprobs.refusal is None
    stream = client.chat.completions.create(**ask, temperature=0, stream=True)
    assert any(chunk.choices[0].logprobs for chunk in stream)


def test_a_stream_omits_the_stop_string_and_nothing_else(client: openai.OpenAI) -> None:
    """vllm-project/vllm#3574 (the start of a stop string was sent) and #11089 (a stop string emptied the answer)."""
    ask: dict[str, Any] = {"model": "tiny", "prompt": "the river", "max_tokens": 24, "temperature": 0}
    free = client.completions.create(**ask).choices[0].text
    stop = free[5:15]
    pieces = [chunk.choices[0].text for chunk in client.completions.create(**ask, stop=stop, stream=True)]
    assert "".join(pieces) == free[: free.index(stop)]
    for harmless in ("", [], [""], "\x00 not in any answer"):
        assert client.completions.create(**ask, stop=harmless).choices[0].text == free


def test_a_stop_string_with_a_control_token_is_not_output(http: httpx.Client, server: Server) -> None:
    """huggingface/text-generation-inference#1724: the answer ended with the stop string `<|im_end|>\\n`."""
    ask = {"model": "tiny", "prompt": "the river", "temperature": 0, "max_tokens": 24, "ignore_eos": True}
    answer = http.post("/v1/completions", json=ask | {"return_token_ids": True}).json()["choices"][0]
    first = server.codec.decode(answer["token_ids"][:1])
    stopped = http.post("/v1/completions", json=ask | {"stop": ["<|im_end|>\n", first]}).json()["choices"][0]
    assert (stopped["text"], stopped["finish_reason"]) == ("", "stop")


def test_a_stop_token_leaves_the_text_before_it_complete(http: httpx.Client, server: Server) -> None:
    """vllm-project/vllm#3672: stopping at a token cut characters off the text."""
    ask = {"model": "tiny", "prompt": "the river", "temperature": 0, "max_tokens": 24, "ignore_eos": True}
    tokens = http.post("/v1/completions", json=ask | {"return_token_ids": True}).json()["choices"][0]["token_ids"]
    place = next(index for index, token in enumerate(tokens) if index > 3 and token not in tokens[:index])
    stopped = http.post("/v1/completions", json=ask | {"stop_token_ids": [tokens[place]]}).json()["choices"][0]
    assert (stopped["text"], stopped["finish_reason"]) == (server.codec.decode(tokens[:place]), "stop")


def test_more_than_the_context_is_a_400_with_its_code(http: httpx.Client) -> None:
    """modular/modular#6673 (cut without a word), tenstorrent/vllm#35 (500)."""
    for body in ({"prompt": "x", "max_tokens": 100_000_000}, {"prompt": [5] * 5000, "max_tokens": 1}):
        answer = http.post("/v1/completions", json={"model": "tiny"} | body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "context_length_exceeded")


def test_an_empty_prompt_is_refused_and_the_server_lives(http: httpx.Client) -> None:
    """vllm-project/vllm#10648: an empty prompt ended the engine."""
    prompts: list[Any] = ["", [], [""], [[]]]
    for prompt in prompts:
        answer = http.post("/v1/completions", json={"model": "tiny", "prompt": prompt})
        assert answer.status_code == 400
        assert "empty" in answer.json()["error"]["message"]
    assert http.get("/health").status_code == 200


def test_bytes_that_are_no_http_disturb_nobody(server: Server, http: httpx.Client) -> None:
    """vllm-project/vllm#44486: a port scan ended the server."""
    for noise in (
        b"\x16\x03\x01\x02\x00",
        b"GET\r\n\r\n",
        b"POST /v1/completions HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"\x00" * 70_000,
    ):
        with socket.create_connection((server.host, server.port)) as connection, contextlib.suppress(OSError):
            connection.sendall(noise)
    assert http.post("/v1/completions", json={"model": "tiny", "prompt": "x", "max_tokens": 1}).status_code == 200


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "in one piece"])
@pytest.mark.parametrize("path", ["completions", "chat/completions"])
def test_a_client_that_leaves_while_it_waits_frees_its_place(tiny_model: Path, stream: bool, path: str) -> None:
    """ggml-org/llama.cpp#13262 and #24496, ikawrakow/ik_llama.cpp#1020: queued work ran for clients that had gone."""
    long = {"model": "tiny", "prompt": "x", "max_tokens": 4000, "ignore_eos": True, "stream": True}
    ask = {"prompt": "x"} if path == "completions" else {"messages": [{"role": "user", "content": "Hi"}]}
    with serving(tiny_model, engine=EngineSettings(max_batch=1)) as server, contextlib.ExitStack() as first:
        running = httpx.stream("POST", f"{server.url}/v1/completions", json=long, headers=HEADERS, timeout=30)
        first.enter_context(running)
        wait_for(lambda: server.engine.statistics().running == 1)
        body = json.dumps({"model": "tiny", "max_tokens": 4000, "stream": stream} | ask).encode()
        head = f"POST /v1/{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\n"
        with socket.create_connection((server.host, server.port)) as connection:
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            wait_for(lambda: server.engine.statistics().queued == 1)
        wait_for(lambda: server.engine.statistics().queued == 0)
        assert server.engine.statistics().running == 1
        first.close()
        wait_for(lambda: is_idle(server.engine))


def test_a_rendered_prompt_gets_no_second_beginning_of_text(http: httpx.Client, server: Server) -> None:
    """vllm-project/vllm#9519: completions had no way to leave the tokenizer's own beginning out."""
    prompt = "<|im_start|>user\nHi<|im_end|>\n"
    body = {"model": "tiny", "prompt": prompt, "max_tokens": 1, "add_special_tokens": False}
    usage = http.post("/v1/completions", json=body).json()["usage"]
    assert usage["prompt_tokens"] == len(server.codec.encode(prompt, add_special_tokens=False))
